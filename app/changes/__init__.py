"""Changes: open pull requests with the revisions that each adds, and the forks between them.

A CI run sees one branch. Two pull requests that add a revision on one parent both pass there, and the second one to
be merged breaks the history. The record sees both. It learns of them from the reports that are posted: one with the
number of a pull request is about a change, and one without, from a trusted token, is about a protected branch.
"""
