"""Environments: the databases to which a project is deployed, and what may be deployed there.

What is known of an environment is sent to it: deployments (which commit runs there), and snapshots (the schema and
sizes of its database). A decision follows from these and the proofs of revisions, by the policy and the waivers. It is
stored with what it rests on, and is void as soon as that has changed.

A deployment creates no revision, and no proof is no permission: what was never reported or proved is `unknown`.
"""
