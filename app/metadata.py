"""Every table on one MetaData: the only place where the domains meet, and all that `migrations/env.py` imports of them.

The tables of a package that is missing here would never reach a migration, so a test compares DOMAINS with the files on
disk.
"""

from __future__ import annotations

from app.audit import models as audit
from app.changes import models as changes
from app.database import Table
from app.environments import models as environments
from app.projects import models as projects
from app.revisions import models as revisions
from app.runs import models as runs

DOMAINS = (audit, changes, environments, projects, revisions, runs)

metadata = Table.metadata
