"""A project: a repository whose migrations are gated, and the tokens with which its pipelines speak to us.

Every other table of the record hangs on a project, and every request is answered on behalf of a token, so one project
can be kept from seeing another in one place: `access.project_for` admits nobody to a project that the token may not
know of.
"""
