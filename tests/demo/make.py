"""Makes the reports of the demonstration again, with the gate itself: `python -m tests.demo.make`.

They are kept as files, so that a demonstration starts in seconds and shows what the gate really said.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.gate.server.database import Database
from app.gate.server.throwaway import throwaway_server

PLACE = Path(__file__).parent
REPORTS = PLACE / "reports"
UPGRADE = [sys.executable, "-m", "alembic", "upgrade", "head"]
BY_HAND = "CREATE INDEX ix_orders_total_by_hand ON orders (total)"  # what somebody did to production


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="overproof-demo-") as place:
        project = Path(shutil.copytree(PLACE / "project", Path(place, "shop")))
        git(project, "init", "-q", "-b", "main")
        commit(project, "the shop")
        write("main", verify(project, "none"))
        for change in sorted((PLACE / "changes").iterdir()):
            git(project, "checkout", "-q", "-b", f"change-{change.name}", "main")
            shutil.copytree(change, project, dirs_exist_ok=True)
            commit(project, f"change {change.name}")
            write(f"change-{change.name}", verify(project, "main"))
            git(project, "checkout", "-q", "main")
        write("snapshot", snapshot(project))
        git(project, "merge", "-q", "--ff-only", "change-41")
        write("main-next", verify(project, "none"))


def git(project: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=project, check=True)


def commit(project: Path, message: str) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", message)


def verify(project: Path, base: str) -> Any:
    command = [
        "overproof",
        "verify",
        "--base",
        base,
        "--output",
        "json:report.json",
        "--output",
        "text",
        "--",
        *UPGRADE,
    ]
    subprocess.run(command, cwd=project, check=False)
    report = json.loads((project / "report.json").read_text())
    (project / "report.json").unlink()
    report["target"]["command"] = ["alembic", "upgrade", "head"]
    return report


def snapshot(project: Path) -> Any:
    """Of a database with rows, in which somebody has built an index by hand."""
    with throwaway_server(None) as server:
        database: Database = server.create_database()
        url = database.url("psycopg2")
        subprocess.run(UPGRADE, cwd=project, check=True, env=os.environ | {"DATABASE_URL": url})
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO customers (email) SELECT n || '@example.org' FROM generate_series(1, 20000) AS n"
            )
            cursor.execute(
                "INSERT INTO orders (customer_id, total) SELECT id, id FROM customers, generate_series(1, 5)"
            )
            cursor.execute(BY_HAND)
            cursor.execute("ANALYZE")
        printed = subprocess.run(["overproof", "snapshot", url], check=True, capture_output=True, text=True).stdout
    return json.loads(printed)


def write(name: str, content: Any) -> None:
    (REPORTS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
