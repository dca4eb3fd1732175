"""Revisions, by their content, and what was proved about them.

A revision's ID says little: its script may be edited under the same ID. So a proof is of the ID, the SHA-256 of the
script and the digest of the schema on which it was applied. A rebase that changes none of them keeps its proof; an
edited script has none. Every report adds what it saw, and `trusted` says whose report it was: what decides counts
trusted proofs.
"""
