"""A project's revisions on disk and in Git, read without running them."""
