"""The main job on real input: our own history passes, and each mistake turns it red with a message that names it."""

from __future__ import annotations

from tests.migrations.conftest import Repository


def undone_later(repository: Repository, upgrade: str, *, forgetful: str, complete: str) -> str:
    """Two revisions at the head that together change nothing: the second one takes back what `upgrade` did.

    So the schema at head is still that of the models, and all that is wrong is the first one's `forgetful` downgrade.
    Returns the revision at fault.
    """
    repository.add_revision("aaaaaaaaaaaa", after=repository.head(), upgrade=upgrade, downgrade=forgetful)
    repository.add_revision("bbbbbbbbbbbb", after="aaaaaaaaaaaa", upgrade=complete, downgrade=upgrade)
    return "aaaaaaaaaaaa"


def test_our_own_history_passes(repository):
    verdict = repository.verify()

    assert verdict.status == 0, verdict.output
    assert verdict.report["verdict"] == "pass"
    assert verdict.errors() == []


def test_a_column_added_to_a_model_without_a_migration(repository):
    repository.edit(
        "app/projects/models.py", "    slug: str = Field(", "    colour: str | None = None\n    slug: str = Field("
    )

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    (finding,) = verdict.errors()
    assert finding["check"] == "model-drift"
    assert "project.colour" in finding["message"]


def test_a_second_head(repository):
    parent = _parent_of_head(repository)
    repository.add_revision("aaaaaaaaaaaa", after=parent, upgrade="pass", downgrade="pass")

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    (finding,) = [error for error in verdict.errors() if error["check"] == "single-head"]
    assert "aaaaaaaaaaaa" in finding["message"] + str(finding["detail"])
    assert repository.head() in finding["message"] + str(finding["detail"])


def test_a_downgrade_that_forgets_an_index(repository):
    culprit = undone_later(
        repository,
        """op.add_column("project", sa.Column("note", sa.Text()))
    op.create_index("ix_project_name_lower", "project", [sa.text("lower(name)")])""",
        forgetful='op.drop_column("project", "note")',
        complete="""op.drop_index("ix_project_name_lower", "project")
    op.drop_column("project", "note")""",
    )

    assert_round_trip_names(repository, culprit, "ix_project_name_lower")


def test_a_downgrade_that_forgets_an_enum_type(repository):
    culprit = undone_later(
        repository,
        """op.execute("CREATE TYPE mood AS ENUM ('calm', 'alarmed')")
    op.execute("ALTER TABLE project ADD COLUMN mood mood")""",
        forgetful='op.drop_column("project", "mood")',
        complete="""op.drop_column("project", "mood")
    op.execute("DROP TYPE mood")""",
    )

    assert_round_trip_names(repository, culprit, "mood")


def test_a_downgrade_that_forgets_a_server_default(repository):
    culprit = undone_later(
        repository,
        """op.add_column("project", sa.Column("note", sa.Text()))
    op.alter_column("project", "repository", server_default="nowhere")""",
        forgetful='op.drop_column("project", "note")',
        complete="""op.drop_column("project", "note")
    op.alter_column("project", "repository", server_default=None)""",
    )

    assert_round_trip_names(repository, culprit, "project.repository")


def test_a_downgrade_that_forgets_a_check(repository):
    culprit = undone_later(
        repository,
        """op.add_column("project", sa.Column("note", sa.Text()))
    op.execute("ALTER TABLE project ADD CONSTRAINT name_is_short CHECK (length(name) < 100)")""",
        forgetful='op.drop_column("project", "note")',
        complete="""op.drop_column("project", "note")
    op.execute("ALTER TABLE project DROP CONSTRAINT name_is_short")""",
    )

    assert_round_trip_names(repository, culprit, "name_is_short")


def test_a_check_that_differs_only_in_its_expression(repository):
    repository.edit("app/projects/models.py", "length(trim(name)) > 0", "length(trim(name)) > 1")

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    (finding,) = verdict.errors()
    assert finding["check"] == "schema-drift"
    assert "ck_project_name_is_not_blank" in finding["message"]
    assert "> 0" in finding["detail"]
    assert "> 1" in finding["detail"]


def test_a_domain_package_left_out_of_the_metadata(repository):
    repository.edit("app/metadata.py", "from app.runs import models as runs\n", "")
    repository.edit("app/metadata.py", "(projects, runs)", "(projects,)")

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    findings = [error for error in verdict.errors() if error["check"] == "unregistered-models"]
    assert {"app/runs/models.py"} == {finding["path"] for finding in findings}
    assert "Run" in " ".join(finding["message"] for finding in findings)


def test_a_new_domain_package_that_was_never_aggregated(repository):
    package = repository.root / "app" / "changes"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(
        "from sqlmodel import Field\n\nfrom app.database import Table\n\n\n"
        "class Change(Table, table=True):\n    id: int = Field(primary_key=True)\n"
    )

    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    (finding,) = verdict.errors()
    assert finding["check"] == "unregistered-models"
    assert finding["path"] == "app/changes/models.py"


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


def assert_round_trip_names(repository: Repository, culprit: str, forgotten: str) -> None:
    verdict = repository.verify()

    assert verdict.status == 1, verdict.output
    assert {error["check"] for error in verdict.errors()} == {"round-trip"}
    assert {error["revision"] for error in verdict.errors()} == {culprit}
    assert any(forgotten in error["message"] for error in verdict.errors()), verdict.output
    assert forgotten in verdict.output


def _parent_of_head(repository: Repository) -> str:
    script = max((repository.root / "migrations" / "versions").glob("*.py"))
    (line,) = (line for line in script.read_text().splitlines() if line.startswith("down_revision = "))
    return line.split("=")[1].strip().strip("\"'")
