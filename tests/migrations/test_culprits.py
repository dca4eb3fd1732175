"""The main job on real input: our own history passes, and each mistake turns it red with a message that names it."""

from __future__ import annotations

import pytest

from app.gate.configuration import FailOn, read_configuration
from app.gate.report.verdict import Severity
from tests.migrations.conftest import ROOT, Repository, Verdict, copy_repository

# What is forgotten: an upgrade in two steps, the words that should name what its downgrade leaves, and how to undo each
# step. The downgrade undoes the second step alone.
FORGOTTEN = {
    "an index": (
        """op.create_index("ix_project_name_lower", "project", [sa.text("lower(name)")])""",
        "index ix_project_name_lower",
        """op.drop_index("ix_project_name_lower", "project")""",
    ),
    "an enum type": (
        """op.execute("CREATE TYPE mood AS ENUM ('calm', 'alarmed')")""",
        "enum mood",
        """op.execute("DROP TYPE mood")""",
    ),
    "a server default": (
        """op.alter_column("project", "repository", server_default="nowhere")""",
        "project.repository",
        """op.alter_column("project", "repository", server_default=None)""",
    ),
    "a CHECK": (
        """op.execute("ALTER TABLE project ADD CONSTRAINT name_is_short CHECK (length(name) < 100)")""",
        "name_is_short",
        """op.execute("ALTER TABLE project DROP CONSTRAINT name_is_short")""",
    ),
}


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Verdict:
    """The verdict on a history with one revision for each thing that a downgrade may forget.

    A second revision behind each takes everything back, so the schema at head is still that of the models, and the
    downgrades are all that is wrong. Their names tell them apart: see `names_for`.
    """
    repository = copy_repository(tmp_path_factory.mktemp("forgetful"), server_url)
    head = repository.head()
    add, drop = """op.add_column("project", sa.Column("note", sa.Text()))""", """op.drop_column("project", "note")"""
    for what, (upgrade, _, undo) in FORGOTTEN.items():
        forgotten, undone = names_for(what)
        there, back = f"{upgrade}\n    {add}", f"{drop}\n    {undo}"
        repository.add_revision(forgotten, after=head, upgrade=there, downgrade=drop)
        repository.add_revision(undone, after=forgotten, upgrade=back, downgrade=there)
        head = undone
    return repository.verify()


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Verdict:
    """The verdict on models to which three things have been done without a migration."""
    repository = copy_repository(tmp_path_factory.mktemp("drifted"), server_url)
    models = "app/projects/models.py"
    repository.edit(models, "    slug: str = Field(", "    colour: str | None = None\n    slug: str = Field(")
    repository.edit(models, "length(trim(name)) > 0", "length(trim(name)) > 1")
    package = repository.root / "app" / "invoices"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(
        "from sqlmodel import Field\n\nfrom app.database import Table\n\n\n"
        "class Invoice(Table, table=True):\n    id: int = Field(primary_key=True)\n"
    )
    return repository.verify()


def names_for(what: str) -> tuple[str, str]:
    slug = what.lower().replace(" ", "_")
    return f"{slug}_is_forgotten", f"{slug}_is_undone"


def test_our_own_history_passes(repository):
    verdict = repository.verify()

    assert verdict.status == 0, verdict.output
    assert verdict.report["verdict"] == "pass"
    assert verdict.errors() == []


def test_a_column_added_to_a_model_without_a_migration(drifted):
    assert "project.colour" in " ".join(error["message"] for error in drifted.errors())


def test_a_second_head(repository):
    parent = _parent_of_head(repository)
    repository.add_revision("aaaaaaaaaaaa", after=parent, upgrade="pass", downgrade="pass")

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    (finding,) = [error for error in verdict.errors() if error["check"] == "single-head"]
    assert "aaaaaaaaaaaa" in finding["message"] + str(finding["detail"])
    assert repository.head() in finding["message"] + str(finding["detail"])


@pytest.mark.parametrize("what", FORGOTTEN)
def test_a_downgrade_that_forgets(what, forgetful):
    culprit, _ = names_for(what)
    _, name, _ = FORGOTTEN[what]

    assert forgetful.status == 1
    (finding,) = [error for error in forgetful.errors() if error["revision"] == culprit]
    assert finding["check"] == "round-trip"
    assert name in finding["message"]
    assert name in " ".join(forgetful.output.split())


def test_nothing_but_the_forgetful_downgrades_is_at_fault(forgetful):
    assert {error["revision"] for error in forgetful.errors()} == {names_for(what)[0] for what in FORGOTTEN}


def test_every_warning_fails():
    """A downgrade that does nothing is one."""
    configuration = read_configuration(ROOT)

    assert configuration.fail_on is FailOn.WARNING
    assert configuration.base == "none"
    assert configuration.severities == {"concurrent-upgrade": Severity.WARNING}


def test_a_check_that_differs_only_in_its_expression(drifted):
    assert "ck_project_name_is_not_blank" in " ".join(error["message"] for error in drifted.errors())


def test_a_domain_package_left_out_of_the_metadata(repository):
    repository.edit("app/metadata.py", "from app.runs import models as runs\n", "")
    repository.edit("app/metadata.py", "revisions, runs)", "revisions)")

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    findings = [error for error in verdict.errors() if error["check"] == "unregistered-models"]
    assert {"app/runs/models.py"} == {finding["path"] for finding in findings}
    assert "Run" in " ".join(finding["message"] for finding in findings)


def test_a_new_domain_package_that_was_never_aggregated(drifted):
    (finding,) = [error for error in drifted.errors() if error["check"] == "unregistered-models"]
    assert finding["path"] == "app/invoices/models.py"


def test_nothing_but_what_was_done_to_the_models_is_at_fault(drifted):
    assert drifted.status == 1, drifted.output
    assert sorted(error["check"] for error in drifted.errors()) == ["model-drift", "unregistered-models"]


def test_a_revision_that_fails(repository):
    repository.add_revision(
        "aaaaaaaaaaaa", after=repository.head(), upgrade='op.drop_column("project", "colour")', downgrade="pass"
    )

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    (finding,) = [error for error in verdict.errors() if error["check"] == "upgrade"]
    assert finding["revision"] == "aaaaaaaaaaaa"
    assert 'column "colour" of relation "project" does not exist' in finding["message"]
    assert finding["path"] == "migrations/versions/9999_aaaaaaaaaaaa.py"


def _parent_of_head(repository: Repository) -> str:
    script = max((repository.root / "migrations" / "versions").glob("*.py"))
    (line,) = (line for line in script.read_text().splitlines() if line.startswith("down_revision = "))
    return line.split("=")[1].strip().strip("\"'")
