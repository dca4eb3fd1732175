"""`python -m app …` is `overproof …`."""

import sys

from app.cli import main

sys.exit(main())
