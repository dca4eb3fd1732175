"""The commands `overproof verify`, `explain` and `snapshot`, and `can-deploy` and `deployed`, which ask the record.

Each module is imported by its name, from `app/cli.py`, and only for its own command. Whatever takes long to import is
imported inside the function that needs it."""
