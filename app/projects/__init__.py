"""A project: a repository whose migrations are verified, and the API tokens of its pipelines.

Every other table of the record refers to a project, and every request is made with a token. So one place keeps projects
apart: `access.project_for` gives access to a project only to its own tokens and to administrators of the installation.
"""
