"""The recording: what was observed while the migrations ran, as plain data.

The rooms that observe write it, the rooms that judge read it, and neither depends on the other.
"""
