from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.gate.checks.registry import get_check
from app.gate.configuration import Configuration, FailOn, read_configuration
from app.gate.errors import ConfigurationError
from app.gate.recording.model import Evidence
from app.gate.report.verdict import Severity

INI = """
[overproof]
command = flask --app shop db upgrade
env =
    SQLALCHEMY_DATABASE_URI = {url+psycopg2}
    Mode=test
file =
    app.ini = app.ini.template
prepare = python -c "import shop; shop.create_tables()"
timeout = 12.5
select = round-trip, upgrade
    single-head
ignore = irreversible
severity =
    irreversible = error
    round-trip = notice
fail-on = warning
baseline = migrations/known.json
set =
    sqlalchemy.url = {url}?a=b

base = origin/main
deployed = record:production
small-table-rows = 20_000
"""

TOML = """
[tool.overproof]
command = ["flask", "--app", "shop", "db", "upgrade"]
file = { "app.ini" = "app.ini.template" }
prepare = 'python -c "import shop; shop.create_tables()"'
timeout = 12.5
select = ["round-trip", "upgrade", "single-head"]
ignore = ["irreversible"]
fail-on = "warning"
baseline = " migrations/known.json "
base = "origin/main"
deployed = "record:production"
small-table-rows = 20000
set = ["sqlalchemy.url = {url}?a=b", ""]

[tool.overproof.env]
SQLALCHEMY_DATABASE_URI = "{url+psycopg2}"
Mode = "test"

[tool.overproof.severity]
irreversible = "error"
round-trip = "notice"
"""

EXPECTED = Configuration(
    command=("flask", "--app", "shop", "db", "upgrade"),
    env={"SQLALCHEMY_DATABASE_URI": "{url+psycopg2}", "Mode": "test"},
    files={Path("app.ini"): Path("app.ini.template")},
    prepare=("python", "-c", "import shop; shop.create_tables()"),
    timeout_s=12.5,
    select=frozenset({"round-trip", "upgrade", "single-head"}),
    ignore=frozenset({"irreversible"}),
    severities={"irreversible": Severity.ERROR, "round-trip": Severity.NOTICE},
    fail_on=FailOn.WARNING,
    baseline=Path("migrations/known.json"),
    options={"sqlalchemy.url": "{url}?a=b"},
    base="origin/main",
    deployed="record:production",
    small_table_rows=20_000,
)


@pytest.mark.parametrize(("name", "text"), [("alembic.ini", INI), ("setup.cfg", INI), ("pyproject.toml", TOML)])
def test_a_project_says_everything_in_one_place(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert read_configuration(tmp_path) == EXPECTED


def test_a_project_that_says_nothing_gets_the_defaults(tmp_path: Path) -> None:
    assert read_configuration(tmp_path) == Configuration()


def test_what_is_beside_it_in_alembic_ini_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text(
        "[DEFAULT]\nhere = there\n[alembic]\nscript_location = %(here)s/x\nfile_template = %%(rev)s\n"
        "sqlalchemy.url = a\nsqlalchemy.url = b\n[overproof]\ntimeout = 7\n"
    )

    assert read_configuration(tmp_path).timeout_s == 7


@pytest.mark.parametrize("name", ["alembic.ini", "setup.cfg", "pyproject.toml"])
def test_a_broken_file_without_our_section_is_not_our_business(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[[[ what is this\n=\n")

    assert read_configuration(tmp_path) == Configuration()


def refusal(directory: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_configuration(directory)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_two_places_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(INI)
    (tmp_path / "pyproject.toml").write_text(TOML)

    assert refusal(tmp_path) == (
        "the gate has settings in several places (setup.cfg, [overproof] and pyproject.toml, [tool.overproof]): keep one of them"
    )


NAMES = "base, baseline, command, deployed, env, fail-on, file, ignore, prepare, select, set, severity, small-table-rows, timeout"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ignores = upgrade", "there is no setting 'ignores': did you mean 'ignore'?"),
        ("fail_on = error", "there is no setting 'fail_on': did you mean 'fail-on'?"),
        ("zzz = 1", f"there is no setting 'zzz': the settings are {NAMES}"),
        ("ignore = round-tripp", "ignore: there is no check called 'round-tripp': did you mean 'round-trip'?"),
        ("severity = round-trip = fatal", "severity: round-trip can be error, warning or notice, not 'fatal'"),
        ("severity = nothing = error", "severity: there is no check called 'nothing'"),
        ("fail-on = sometimes", "fail-on: can be error, warning or never, not 'sometimes'"),
        ("timeout = soon", "timeout: is a number of seconds above 0, not 'soon'"),
        ("timeout = -1", "timeout: is a number of seconds above 0, not '-1'"),
        ("timeout = 0", "timeout: is a number of seconds above 0, not '0'"),
        ("timeout = inf", "timeout: is a number of seconds above 0, not 'inf'"),
        ("env = = x", "env: '= x' is not of the form NAME=VALUE"),
        ("small-table-rows = ٣", "small-table-rows: is a number of rows, not '٣'"),
        ("base =", "base: is not a text"),
        ("timeout = nan", "timeout: is a number of seconds above 0, not 'nan'"),
        ("env = DATABASE_URL", "env: 'DATABASE_URL' is not of the form NAME=VALUE"),
        ('command = alembic "upgrade', "command: is not a command (No closing quotation)"),
        ("baseline =", "baseline: is not a text"),
        ("small-table-rows = many", "small-table-rows: is a number of rows, not 'many'"),
        ("small-table-rows = -1", "small-table-rows: is a number of rows, not '-1'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_file(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "setup.cfg").write_text(f"[overproof]\n{line}\n")

    assert refusal(tmp_path).startswith(f"setup.cfg, [overproof]: {message}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("timeout = true", "timeout: is a number of seconds above 0, not True"),
        ("timeout = []", "timeout: is a number of seconds above 0, not []"),
        ("small-table-rows = true", "small-table-rows: is a number of rows, not True"),
        ("ignore = 3", "ignore: is not a list of names"),
        ("ignore = [3]", "ignore: is not a list of names"),
        ("env = 7", "env: is not a table of texts"),
        ("env = [7]", "env: is not a table of texts"),
        ("command = []", "command: is not a command (is not a text)"),
        ("command = [1]", "command: is not a command (is not a text)"),
        ("base = 1", "base: is not a text"),
        ("baseline = ' '", "baseline: is not a text"),
        ("env = { A = 1 }", "env: is not a table of texts"),
        ("command = 5", "command: is not a command (is not a text)"),
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.overproof]\n{line}\n")

    assert refusal(tmp_path).startswith(f"pyproject.toml, [tool.overproof]: {message}")


def test_a_broken_file_with_our_section_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[overproof]\nthis is no setting\n")

    refused = refusal(tmp_path)
    assert refused.startswith("setup.cfg cannot be read: ")
    assert refused.endswith(" contains parsing errors: 'setup.cfg' [line 2]: 'this is no setting\\n'")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pyproject.toml", b"overproof = [", "pyproject.toml cannot be read: Invalid value"),
        ("pyproject.toml", b"[tool]\noverproof = 1\n", "pyproject.toml: tool.overproof is not a table"),
        ("setup.cfg", b"\xff", "setup.cfg cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)

    assert refusal(tmp_path).startswith(message)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", 'overproof = "elsewhere"\n'),
        ("pyproject.toml", '[tool.ruff]\nname = "overproof"\n'),
        ("setup.cfg", "[tool]\n# [overproof]\n"),
    ],
)
def test_a_file_that_only_mentions_it_has_no_settings(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "alembic.ini").mkdir()

    assert read_configuration(tmp_path) == Configuration()


@pytest.mark.parametrize(
    ("fail_on", "fails"),
    [
        (FailOn.ERROR, [Severity.ERROR]),
        (FailOn.WARNING, [Severity.ERROR, Severity.WARNING]),
        (FailOn.NEVER, []),
    ],
)
def test_the_lightest_severity_that_fails_a_run(fail_on: FailOn, fails: list[Severity]) -> None:
    assert [each for each in Severity if fail_on.fails(each)] == fails


def test_why_a_check_is_not_run() -> None:
    configuration = Configuration(
        select=frozenset({"upgrade", "round-trip"}),
        ignore=frozenset({"round-trip", "same-schema"}),
        not_asked_for=frozenset({"same-schema", "early-code", "concurrent-upgrade"}),
    )

    def why(name: str, of: Configuration = configuration) -> str | None:
        return of.deselects(get_check(name))

    assert why("upgrade") is None
    assert why("round-trip") == why("same-schema") == "ignored by the configuration"
    assert why("irreversible") == "not selected"
    assert "if several upgrades may start" in (why("concurrent-upgrade") or "")
    assert "if code is started before the upgrade" in (why("early-code") or "")
    assert "unless --same-schema-as names" in (why("same-schema", replace(configuration, ignore=frozenset())) or "")
    assert why("irreversible", Configuration()) is None


def test_only_the_evidence_of_the_selected_checks_is_needed() -> None:
    drift = Configuration(select=frozenset({"model-drift"}))
    hazard = Configuration(select=frozenset({"lock-pileup"}))

    assert drift.needed_evidence() == drift.needed_evidence(of_merged=True) == get_check("model-drift").needs
    assert (hazard.needed_evidence(), hazard.needed_evidence(of_merged=True)) == (
        frozenset({Evidence.LOCKS}),
        frozenset(),
    )
