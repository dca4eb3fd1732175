"""A record full of believable things, to look at: `tox -e serve -- --demo`."""
