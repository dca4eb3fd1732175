"""`tox -e serve`: the service on a PostgreSQL that keeps its data, and with `--demo` something to look at."""

from __future__ import annotations

import sys

from app.cli import main
from app.serve import embedded_database


def run(arguments: list[str]) -> int:
    """`--demo` fills the record before it is served, once; what else there is goes to `overproof serve`."""
    if "--demo" in arguments:
        arguments = [each for each in arguments if each != "--demo"]
        from tests.demo.fill import fill

        with embedded_database():
            fill()
    return main(["serve", "--embedded", *arguments])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
