"""Where the revisions of a graph are drawn."""

from __future__ import annotations

from xml.etree import ElementTree

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
