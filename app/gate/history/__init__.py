"""A project's revisions as they are on disk and in Git, read without running them."""
