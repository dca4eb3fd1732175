"""What code of the previous release relied on, by kind of object: the parts of the check `breaking-change`."""
