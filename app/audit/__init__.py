"""The audit of a project: who changed what, and when.

Verbs that change tokens, projects, policies, deployments or waivers call `service.note`, in the transaction of the
change: there is no change without its entry, and no entry without its change. The database refuses to change or
delete entries. They outlive their project, so that its purge can still be explained.
"""
