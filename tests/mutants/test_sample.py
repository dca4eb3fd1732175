"""What the mutants are, and that a seed gives the same ones again."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.__main__ import summary
from tests.mutants.operators import mutants_of
from tests.mutants.reach import Reach, mirror_of, reached_by_import
from tests.mutants.sample import draw, sizes, stratum_of
from tests.mutants.trial import within

ROOT = Path(__file__).parents[2]
FILES = ["app/gate/checks/upgrade.py", "app/gate/rows/_values.py", "app/settings.py"]


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("if ready:\n    go()", {"if (not (ready)):\n    go()", "if ready:\n    pass"}),
        ("x = a <= b", {"x = (a < b)"}),
        ("x = a in b", {"x = (a not in b)"}),
        ("x = a and b", {"x = (a or b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = 3", {"x = 4", "x = (2)"}),
        ("x = 'é', 'b'", {"x = \"\", 'b'", "x = 'é', \"\""}),
        ("x = [a for a in b if a]", {"x = [a for a in b if (not (a))]"}),
        ("def f():\n    return x", {"def f():\n    return None"}),
        ("def f():\n    return True", {"def f():\n    return False"}),
        ("for a in b:\n    break", {"for a in b:\n    continue"}),
        ("x = cast('T', 'a')", {"x = cast('T', \"\")"}),
    ],
)
def test_a_mutant_is_the_file_with_one_mistake(source: str, mutants: set[str]):
    assert {mutant.apply(source.encode()).decode() for mutant in mutants_of("a.py", source.encode())} == mutants


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is."""',
        "def f(x: 'int' = y) -> 'str': ...",
        "if TYPE_CHECKING:\n    go()",
        "x = f'a{b}'",
        "x = True",
        "x = Literal['a', 'b']",
        "T = TypeVar('T')",
        "x = cast('T', y)",
    ],
    ids=[
        "a docstring",
        "annotations",
        "what only type checkers read",
        "an f-string",
        "no number",
        "a type",
        "a variable for types",
        "a cast",
    ],
)
def test_what_does_nothing_has_no_mutants(source: str):
    assert mutants_of("a.py", source.encode()) == []


def test_every_mutant_is_python():
    for path in FILES:
        source = (ROOT / path).read_bytes()
        for mutant in mutants_of(path, source):
            compile(mutant.apply(source), path, "exec")


def test_a_sample_has_its_strata_no_line_twice_and_is_the_same_for_the_same_seed():
    drawn = draw(ROOT, FILES, 36, seed=1)

    assert Counter(stratum_of(mutant.path) for mutant in drawn) == {"checks, judge": 18, "gate": 10, "service": 8}
    assert len({(mutant.path, mutant.line) for mutant in drawn}) == 36
    assert draw(ROOT, FILES, 36, seed=1) == drawn
    assert draw(ROOT, FILES, 36, seed=2) != drawn
    assert {stratum_of(mutant.path) for mutant in draw(ROOT, FILES, 9, seed=1, only=["gate"])} == {"gate"}


@pytest.mark.parametrize("total", [1, 20, 90])
def test_a_sample_is_as_large_as_asked_for(total: int):
    assert sum(sizes(total).values()) == total


def test_what_starts_nothing_comes_first_then_the_mirrored_file_then_the_shorter_test():
    durations = {"tests/test_b.py::far": 0.1, "tests/test_a.py::near": 5.0, "tests/test_b.py::quick": 0.2}
    reach = Reach(
        durations, frozenset({"tests/test_b.py::quick"}), {"app/a.py": {3: frozenset({*durations, "tests/a::failed"})}}
    )

    expected = ["tests/test_b.py::quick", "tests/test_a.py::near", "tests/test_b.py::far"]
    assert reach.tests_of("app/a.py", 3) == expected
    assert reach.tests_of("app/a.py", 1) == expected  # it runs as the module is imported
    assert reach.tests_of("app/b.py", 1) == []


def test_what_only_runs_as_it_is_imported_is_reached_by_the_tests_that_import_it(tmp_path: Path):
    files = {
        "app/__init__.py": "",
        "app/tables.py": "LONGEST = 63",
        "app/verbs.py": "from app import tables\nimport app.nowhere\nimport os",
        "app/other.py": "import app.verbs",
        "tests/test_tables.py": "from app.tables import LONGEST",
        "tests/test_verbs.py": "def test_a():\n    from app.other import tables",
        "tests/test_alone.py": "import app\nfrom . import test_verbs",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    tests = [
        "tests/test_tables.py::one",
        "tests/test_verbs.py::two",
        "tests/test_verbs.py::three",
        "tests/test_alone.py::four",
    ]

    found = reached_by_import(tmp_path, ["app/tables.py", "app/__init__.py"], tests)

    assert found == {"app/tables.py": {1: frozenset(tests[:3])}, "app/__init__.py": {1: frozenset(tests)}}
    assert Reach(dict.fromkeys(tests, 1.0), frozenset(), found).tests_of("app/tables.py", 7) == sorted(
        tests[:3], key=lambda test: ("tables" not in test, test)
    )


def test_a_file_has_its_mirror():
    assert mirror_of("app/gate/rows/_values.py") == "tests/gate/rows/test_values.py"
    assert mirror_of("app/cli.py") == "tests/test_cli.py"


@pytest.mark.parametrize(
    ("budget_s", "chosen"), [(0.5, ["a"]), (1.0, ["a"]), (2.9, ["a"]), (3.0, ["a", "b"]), (9.0, ["a", "b", "c"])]
)
def test_the_first_tests_are_run_as_far_as_the_budget_goes(budget_s: float, chosen: list[str]):
    reach = Reach({"a": 1.0, "b": 2.0, "c": 0.5}, frozenset(), {})

    assert within(budget_s, ["a", "b", "c"], reach) == chosen
    assert within(budget_s, [], reach) == []


@pytest.mark.parametrize(
    ("outcomes", "line"),
    [
        ({"killed": 3}, "all: 3 of 3 killed (100%)"),
        ({"killed": 2, "unknown": 1, "survived": 1}, "all: 2 of 4 killed (50%), 1 survived, 1 unknown"),
        ({"unreached": 1}, "all: 0 of 1 killed (0%), 1 unreached"),
        ({}, "all: 0 of 0 killed (0%)"),
    ],
)
def test_only_what_a_test_has_killed_counts_as_killed(outcomes: dict[str, int], line: str):
    assert summary("all", outcomes) == line
