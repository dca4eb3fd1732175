"""The commands that prove, look and change scripts (`verify`, `graph`, `snapshot`, `rebase`, ...), and those that ask
the record: `can-deploy`, `deployed`.

Each module is imported by its name, from `app/cli.py`, and only for its own command. Whatever takes long to import is
imported inside the function that needs it."""
