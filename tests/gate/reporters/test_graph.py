"""Where the revisions of a graph are drawn."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.report.model import GraphEntry, RevisionEntry
from app.gate.reporters.html.graph import layout_of, mermaid, nodes_of, revision_graph, standalone

SVG = "{http://www.w3.org/2000/svg}"


def revision(name: str, *parents: str, **fields: object) -> RevisionEntry:
    return RevisionEntry.model_validate({"revision": name, "down_revisions": list(parents), **fields})


def graph_of(*revisions: RevisionEntry) -> GraphEntry:
    parents = {parent for each in revisions for parent in each.down_revisions}
    heads = [each.revision for each in revisions if each.revision not in parents]
    return GraphEntry(heads=heads, revisions=list(revisions))


@st.composite
def graphs(draw: st.DrawFn) -> GraphEntry:
    revisions: list[RevisionEntry] = []
    for number in range(draw(st.integers(1, 60))):
        known = [each.revision for each in revisions]
        parents = draw(st.lists(st.sampled_from(known[-4:]), max_size=3, unique=True)) if known else []
        needed = draw(st.lists(st.sampled_from(known), max_size=1)) if known and draw(st.integers(0, 9)) == 0 else []
        new = draw(st.integers(0, 5)) == 0
        revisions.append(revision(f"r{number}", *parents, depends_on=needed, new=new))
    return graph_of(*revisions)


@given(graphs())
def test_every_revision_is_drawn_or_counted_and_none_upon_another(graph: GraphEntry) -> None:
    nodes = nodes_of(graph, {})
    layout = layout_of(nodes)

    assert sum(node.folded or 1 for node in nodes) == len(graph.revisions)
    assert sorted(layout.rows.values()) == list(range(len(nodes)))
    for node in nodes:
        for parent in node.parents:
            assert layout.rows[parent] > layout.rows[node.id]
    # No edge passes through a revision that is not its own.
    for (child, parent), lane in layout.tracks.items():
        between = range(layout.rows[child] + 1, layout.rows[parent])
        assert not [node.id for node in nodes if layout.rows[node.id] in between and layout.lanes[node.id] == lane]


@given(graphs())
def test_both_pictures_have_the_same_edges(graph: GraphEntry) -> None:
    picture = ElementTree.fromstring(standalone(revision_graph(graph), "text { fill: black }"))
    edges = sum(len(node.parents) for node in nodes_of(graph, {}))

    assert len([each for each in picture.iter(f"{SVG}path") if each.get("class") == "edge"]) == edges
    assert mermaid(graph).count("-->") == edges


def test_a_long_line_is_folded_but_for_what_happens_there() -> None:
    revisions = [
        revision(f"r{number}", *([f"r{number - 1}"] if number else []), new=number > 97) for number in range(100)
    ]

    nodes = nodes_of(graph_of(*revisions), {"r50": ["production"]})

    assert [(node.id, node.tags) if not node.folded else node.folded for node in nodes] == [
        ("r99", ("head",)),
        ("r98", ()),
        ("r97", ()),
        45,
        ("r51", ()),
        ("r50", ("production",)),
        ("r49", ()),
        47,
        ("r1", ()),
        ("r0", ()),
    ]


def test_a_short_history_is_shown_whole() -> None:
    assert [node.id for node in nodes_of(graph_of(revision("a"), revision("b", "a"), revision("c", "b")), {})] == [
        "c",
        "b",
        "a",
    ]


def test_a_revision_leads_where_the_links_say() -> None:
    picture = revision_graph(graph_of(revision("a"), revision("<b>", "a", message="“x” & y")), links={"a": "#a"})

    assert picture.count("<a ") == 1
    assert "&lt;b&gt;" in picture
    assert "“x” &amp; y" in picture


def test_labels_for_mermaid_hold_no_markup() -> None:
    text = mermaid(graph_of(revision('a"]', message='x"<script>`;')))

    assert text.splitlines()[1] == '    r0["a#34;#93; #40;head#41; x#34;#60;script#62;#96;#59;"]:::new'


def test_no_picture_without_revisions() -> None:
    assert revision_graph(GraphEntry()) == ""


@pytest.mark.parametrize(("number", "shown"), [(30, 30), (31, 5)])
def test_thirty_revisions_are_shown_whole(number: int, shown: int) -> None:
    revisions = [revision(f"r{at}", *([f"r{at - 1}"] if at else []), new=False) for at in range(number)]

    assert len(nodes_of(graph_of(*revisions), {})) == shown


def long_line(**special: dict[str, object]) -> GraphEntry:
    """A line of forty old revisions. `special`: fields of some of them."""
    return graph_of(
        *(
            revision(f"r{at}", *([f"r{at - 1}"] if at else []), **{"new": False, **special.get(f"r{at}", {})})
            for at in range(40)
        )
    )


ENDS = ["r39", "r38", "r1", "r0"]


@pytest.mark.parametrize(
    ("special", "shown"),
    [
        ({}, []),
        ({"r20": {"new": True}}, ["r21", "r20", "r19"]),
        ({"r20": {"branch_labels": ["shop"]}}, ["r21", "r20", "r19"]),
        ({"r20": {"depends_on": ["r5"]}}, ["r21", "r20", "r19"]),
        ({f"r{at}": {"new": True} for at in range(40)}, []),
    ],
    ids=["nothing", "a new one", "a label", "a dependency", "all are new"],
)
def test_what_happens_in_a_long_line_is_shown_with_its_neighbours(
    special: dict[str, dict[str, object]], shown: list[str]
) -> None:
    nodes = nodes_of(long_line(**special), {})

    assert [node.id for node in nodes if not node.folded] == [*ENDS[:2], *shown, *ENDS[2:]]


def test_forks_and_merges_are_shown_in_a_long_history() -> None:
    line = list(long_line().revisions)
    fork = [revision("f", "r10", new=False), revision("m", "r39", "f", new=False)]

    nodes = nodes_of(graph_of(*line, *fork), {})

    assert [node.id if not node.folded else node.folded for node in nodes] == [
        "m", "f", "r39", 27, "r11", "r10", "r9", 7, "r1", "r0",
    ]  # fmt: skip


def test_a_node_has_its_tags_and_only_parents_that_are_there_each_once() -> None:
    (node,) = nodes_of(
        graph_of(revision("a", "gone", "gone", branch_labels=["shop"], depends_on=["x", "x"], message="m")),
        {"a": ["production"]},
    )

    assert (node.parents, node.depends_on, node.tags) == ((), ("x",), ("head", "@shop", "production"))
    assert (node.message, node.is_new, node.folded) == ("m", True, 0)


DIAMOND = graph_of(
    revision("a"), revision("b", "a", new=False), revision("c", "a", depends_on=["b"]), revision("d", "b", "c", message="x" * 73)
)  # fmt: skip


def test_where_lanes_and_rows_are() -> None:
    layout = layout_of(nodes_of(DIAMOND, {}))

    assert layout.rows == {"d": 0, "c": 1, "b": 2, "a": 3}
    assert layout.lanes == {"d": 0, "c": 1, "b": 0, "a": 0}
    assert layout.tracks == {("d", "b"): 0, ("d", "c"): 1, ("c", "a"): 1, ("b", "a"): 0}
    assert layout.width == 2


def test_the_picture_to_the_pixel() -> None:
    picture = str(revision_graph(DIAMOND, {"a": ["p" * 41]}, {"b": "#b"})).split("\n")

    assert picture == [
        (
            '<svg class="graph" xmlns="http://www.w3.org/2000/svg" role="group" viewBox="0 0 610 112" width="610" height="112">'
            "<title>Revisions, the newest first</title>"
        ),
        '<path class="edge" d="M14 13V39V65"/>',
        '<path class="edge" d="M14 13C14 26 32 26 32 39V39"/>',
        '<path class="edge" d="M32 39V65C32 78 14 78 14 91"/>',
        '<path class="edge dependency" d="M32 39Q50 52 14 65"/>',
        '<path class="edge" d="M14 65V91"/>',
        (
            '<circle class="node new" cx="14" cy="13" r="5"/><text x="50" y="17"><tspan class="revision">d</tspan>'
            f' <tspan class="tag" dx="6">head</tspan> <tspan dx="6">{"x" * 72}…</tspan></text>'
        ),
        '<circle class="node new" cx="32" cy="39" r="5"/><text x="50" y="43"><tspan class="revision">c</tspan> <tspan dx="6"></tspan></text>',
        (
            '<circle class="node" cx="14" cy="65" r="5"/><a href="#b"><text x="50" y="69"><tspan class="revision">b</tspan>'
            ' <tspan dx="6"></tspan></text></a>'
        ),
        (
            '<circle class="node new" cx="14" cy="91" r="5"/><text x="50" y="95"><tspan class="revision">a</tspan>'
            f' <tspan class="tag" dx="6">{"p" * 40}</tspan> <tspan dx="6"></tspan></text>'
        ),
        "</svg>",
    ]


def test_a_picture_as_a_file_has_its_style_before_its_title() -> None:
    text = standalone(revision_graph(graph_of(revision("a"))), "x {}")

    assert "><style>x {}</style><title>Revisions, the newest first</title>\n" in text
    assert text.endswith("</svg>\n")


def test_the_graph_for_mermaid() -> None:
    assert mermaid(DIAMOND, {"a": ["p"]}).splitlines() == [
        "flowchart TB",
        f'    r0["d #40;head#41; {"x" * 72}…"]:::new'.replace("…", "#8230;"),
        "    r0 --> r2",
        "    r0 --> r1",
        '    r1["c"]:::new',
        "    r1 --> r3",
        "    r1 -.-> r2",
        '    r2["b"]',
        "    r2 --> r3",
        '    r3["a #40;p#41;"]:::new',
        "    classDef new stroke-width:3px",
    ]
    assert '["… 36 revisions"]' in mermaid(long_line())
