"""What people type: `overproof verify`, `overproof explain`, `overproof snapshot`.

Each module is imported by its name, from `app/cli.py`, and only when its command is asked for. Whatever takes long to import is imported
inside the function that needs it."""
