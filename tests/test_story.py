"""The whole story: branches of a real repository through the real gate into the record, and from there to two databases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from app.cli import main
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from tests import factories
from tests.gate.projects import COMMAND, script, write_project
from tests.serving import serving

TRUSTED, STRANGER, DEPLOYER, OWNER = "ovp_trusted", "ovp_stranger", "ovp_deployer", "ovp_owner"

ORDERS = script(
    "a1",
    None,
    "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('old', sa.Text))",
    "op.drop_table('orders')",
)
NOTES = script("b2", "a1", "op.add_column('orders', sa.Column('note', sa.Text))", "op.drop_column('orders', 'note')")


def drops(parent: str) -> str:
    """A revision that loses values, which the policy of production denies."""
    return script("c3", parent, "op.drop_column('orders', 'old')", "op.add_column('orders', sa.Column('old', sa.Text))")


class Shop:
    """The project's repository, which is its own remote, its pipelines and its databases."""

    def __init__(self, url: str, directory: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.url = f"{url}/api/v1/projects/shop"
        self.directory, self.server, self.monkeypatch, self.capsys = directory, server, monkeypatch, capsys
        self.place = write_project(directory / "shop", {})
        (self.place / ".gitignore").write_text("__pycache__\n")
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.place))
        monkeypatch.chdir(self.place)
        self.server_url = server.create_database().url()
        self.production, self.staging = server.create_database(), server.create_database()
        monkeypatch.setenv("OVERPROOF_RECORD", self.url)
        monkeypatch.setenv("GITLAB_CI", "true")

    def overproof(self, *arguments: str, token: str = DEPLOYER, **variables: str) -> tuple[int, str]:
        """The exit status of a command, and all that it prints."""
        with self.monkeypatch.context() as patch:
            for name, value in {"OVERPROOF_TOKEN": token, **variables}.items():
                patch.setenv(name, value)
            status = main(list(arguments))
        self.printed = self.capsys.readouterr()
        return status, self.printed.out + self.printed.err

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *words], cwd=self.place, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, **scripts: str) -> str:
        """On the branch that is checked out. Returns the commit."""
        for name, text in scripts.items():
            (self.place / "migrations" / "versions" / f"{name}.py").write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "more")
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        """Into the default branch, which is checked out then. Returns the commit."""
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--ff-only", branch)
        self.git("fetch", "-q", "origin")
        return self.git("rev-parse", "HEAD")

    def verify(self, change: str | None = None) -> str:
        """Run the gate as CI would, for a pull request or on the protected branch. Returns what it prints."""
        where = {"CI_COMMIT_BRANCH": "main"} if change is None else {"CI_MERGE_REQUEST_IID": change}
        _, printed = self.overproof(
            *("verify", "--base", "none", "--submit", self.url, "--database-url", self.server_url),
            *("--select", "upgrade", "--select", "data-loss", "--", *COMMAND),
            token=TRUSTED if change is None else STRANGER,
            CI_COMMIT_SHA=self.git("rev-parse", "HEAD"),
            **where,
        )
        site, _, _ = self.url.partition("/api/")
        assert f"submitted to {site}/projects/" in printed, printed
        return printed

    def upgrade(self, commit: str, database: Database) -> None:
        """As a deployment does, with the scripts of a commit."""
        place = self.directory / commit
        if not place.exists():
            self.git("worktree", "add", "-q", "--detach", str(place), commit)
        environ = {"DATABASE_URL": database.url("psycopg2"), "PATH": "/usr/bin:/bin"}
        subprocess.run(COMMAND, cwd=place, env=environ, check=True, capture_output=True)

    def deploy(self, commit: str, environment: str, database: Database) -> None:
        self.upgrade(commit, database)
        deployment = f"{environment}-{commit[:8]}"
        status, printed = self.overproof("deployed", "--to", environment, "--commit", commit, "--id", deployment)
        assert status == 0, printed
        self.snapshot(environment, database)

    def snapshot(self, environment: str, database: Database) -> None:
        status, printed = self.overproof("snapshot", database.url(), "--submit", "--environment", environment)
        assert status == 0, printed

    def change(self, environment: str, database: Database, statement: str) -> None:
        """By hand, without a migration."""
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
        self.snapshot(environment, database)

    def can_deploy(self, commit: str, environment: str, *options: str) -> tuple[int, str]:
        return self.overproof("can-deploy", "--to", environment, "--commit", commit, *options)

    def decide(self, commit: str, environment: str) -> dict[str, Any]:
        self.can_deploy(commit, environment, "--json")
        decision: dict[str, Any] = json.loads(self.printed.out)
        return decision

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """As the owner, without a command for it."""
        request = Request(
            f"{self.url}{path}",
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"Bearer {OWNER}", "Content-Type": "application/json"},
            method=method,
        )
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture
def shop(
    migrated_database: Database,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shop]:
    url = sa.make_url(migrated_database.url("psycopg2"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        project = factories.ProjectFactory(slug="shop")
        factories.ApiTokenFactory(project=project, secret=TRUSTED, scope="report", trusted=True)
        factories.ApiTokenFactory(project=project, secret=STRANGER, scope="report")
        factories.ApiTokenFactory(project=project, secret=DEPLOYER, scope="deploy")
        factories.ApiTokenFactory(project=project, secret=OWNER, scope="admin", name="the owner")
        factories.store_in(None)
    with serving(url) as address:
        yield Shop(address, tmp_path, server, monkeypatch, capsys)


FORGED = "d" * 40


def test_two_branches_fork_one_merges_and_the_other_reaches_production_after_a_waiver(shop: Shop) -> None:
    shop.ask("PUT", "/environments/staging", {})
    shop.ask("PUT", "/environments/production", {"deny": ["error", "data-loss"]})

    # The first version is proved on the protected branch, and deployed to both.
    first = shop.commit(a1=ORDERS)
    shop.verify()
    for environment, database in (("staging", shop.staging), ("production", shop.production)):
        shop.snapshot(environment, database)
        assert shop.can_deploy(first, environment)[0] == 0
        shop.deploy(first, environment, database)
    assert shop.ask("GET", "/environments/production/drift")["state"] == "none"

    # Two branches add a revision on a1. Both pass alone; each hears of the other.
    shop.git("checkout", "-q", "-b", "notes", "main")
    shop.commit(b2=NOTES)
    assert "must be rebased" not in shop.verify(change="7")
    shop.git("checkout", "-q", "-b", "drops", "main")
    shop.commit(c3=drops("a1"))
    assert "7 was first, so 8 must be rebased onto b2" in shop.verify(change="8")
    shop.git("checkout", "-q", "notes")
    assert "7 was first, so 8 must be rebased onto b2" in shop.verify(change="7")

    # The first one is merged and proved, so the other is behind.
    shop.merge("notes")
    shop.verify()
    (fork,) = shop.ask("GET", "/forks")["forks"]
    assert (fork["first"], fork["onto"], fork["command"]) == (None, "b2", "overproof rebase origin/main")

    # It rebases as it is told to, passes, and is merged and proved too.
    shop.git("checkout", "-q", "drops")
    shop.git("rebase", "-q", "origin/main")
    status, printed = shop.overproof(*fork["command"].split()[1:])
    assert status == 0, printed
    rebased = shop.place / "migrations" / "versions" / "c3.py"
    assert rebased.read_text() == drops("b2")
    shop.commit()
    assert "must be rebased" not in shop.verify(change="8")
    newest = shop.merge("drops")
    shop.verify()
    assert shop.ask("GET", "/forks")["forks"] == []
    assert [each["id"] for each in shop.ask("GET", "/changes?state=merged")["items"]] == ["8", "7"]

    # Staging takes it: its policy denies errors only. A hot fix by hand appears there.
    assert shop.can_deploy(newest, "staging")[0] == 0
    shop.deploy(newest, "staging", shop.staging)
    assert shop.can_deploy(newest, "staging")[1].startswith("ALLOWED")
    shop.change("staging", shop.staging, "CREATE INDEX ix_hot ON orders (note)")
    (difference,) = shop.ask("GET", "/environments/staging/drift")["differences"]
    assert (difference["object"], difference["change"]) == ("public.orders.ix_hot", "unexpected")
    status, printed = shop.can_deploy(newest, "staging")
    assert status == 1
    assert "deny drift: The schema is not the one that was proved for c3: index public.orders.ix_hot is" in printed
    assert "To clear it: Undo what was changed by hand" in printed
    shop.change("staging", shop.staging, "DROP INDEX ix_hot")
    assert shop.can_deploy(newest, "staging")[0] == 0

    # For production it is denied for the values that it loses, until the owner accepts that.
    denied = shop.decide(newest, "production")
    (reason,) = denied["reasons"]
    assert (denied["answer"], reason["code"], reason["revision"]) == ("deny", "finding-denied", "c3")
    assert "waiver" in reason["clears"]
    waiver = {"reason": "Unused.", "environment": "production", "ends_at": "2099-01-01T00:00:00Z"}
    shop.ask("POST", "/waivers", waiver | {"fingerprint": reason["fingerprint"]})
    allowed = shop.decide(newest, "production")
    assert (allowed["answer"], [each["revision"] for each in allowed["pending"]]) == ("allow", ["b2", "c3"])

    # The decision is void as soon as the database is another one.
    path = f"/environments/production/decisions/{allowed['id']}"
    assert shop.ask("GET", path)["void"] is False
    shop.change("production", shop.production, "ALTER TABLE orders ADD COLUMN by_hand text")
    assert shop.ask("GET", path)["void_because"] == ["snapshot"]
    actions = {(each["action"], each["actor"]) for each in shop.ask("GET", "/audit")["items"]}
    assert ("waiver.create", "the owner") in actions

    # A pull request's token can post any report, and proves nothing with it.
    forge(shop, newest)
    status, printed = shop.can_deploy(FORGED, "staging")
    assert status == 2
    assert "unknown version-untrusted" in printed
    assert "unknown proof-untrusted" in printed


def forge(shop: Shop, commit: str) -> None:
    """A report like the trusted ones, with one more revision, posted with the token of a pull request."""
    (newest,) = shop.ask("GET", f"/runs?limit=1&commit={commit}")["items"]
    content = shop.ask("GET", f"/runs/{newest['id']}/report")
    last = content["graph"]["revisions"][-1]
    forged = factories.revision("d4", "c3", schema_digest_before=last["schema_digest"])
    content["graph"] |= {"heads": ["d4"], "revisions": [*content["graph"]["revisions"], forged]}
    request = Request(
        f"{shop.url}/runs?head_sha={FORGED}",
        data=json.dumps(content).encode(),
        headers={"Authorization": f"Bearer {STRANGER}", "Content-Type": "application/json"},
        method="POST",
    )
    with urlopen(request, timeout=30) as answer:
        assert json.loads(answer.read())["trusted"] is False
