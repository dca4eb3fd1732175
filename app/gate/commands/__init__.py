"""The commands `overproof verify`, `graph`, `explain` and `snapshot`, and those that ask the record: `can-deploy`,
`deployed`.

Each module is imported by its name, from `app/cli.py`, and only for its own command. Whatever takes long to import is
imported inside the function that needs it."""
