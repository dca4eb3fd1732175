"""The revision graph, as SVG and for Mermaid: heads at the top, as in `git log --graph`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from app.gate.report.model import GraphEntry, RevisionEntry
from app.gate.reporters.escaping import one_line
from app.gate.wording import counted

LANE, ROW, RADIUS, MARGIN = 18, 26, 5, 14  # pixels
TEXT_WIDTH = 560
MESSAGE_LENGTH = 72
SHOWN_WHOLE = 30  # revisions: a longer history has its uneventful stretches folded


@dataclass
class Node:
    """A revision, or a stretch of revisions that are left out."""

    id: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    message: str = ""
    tags: tuple[str, ...] = ()
    is_new: bool = False
    folded: int = 0  # the number of revisions that it stands for


@dataclass
class Layout:
    """Where each node is: `rows` counts from the top, `lanes` from the left. `tracks`: the lane of each edge."""

    rows: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, int] = field(default_factory=dict)
    tracks: dict[tuple[str, str], int] = field(default_factory=dict)
    width: int = 0  # in lanes


# Which revisions are shown


def nodes_of(graph: GraphEntry, places: Mapping[str, Sequence[str]]) -> list[Node]:
    """The newest first. `places`: what stands at a revision, {"7b39e1f5a0c4": ["production"]}."""
    revisions = list(reversed(graph.revisions))
    known = {each.revision for each in revisions}
    shown = known if len(revisions) <= SHOWN_WHOLE else _eventful(graph, places)
    nodes: list[Node] = []
    for each in revisions:
        parents = tuple(dict.fromkeys(filter(known.__contains__, each.down_revisions)))
        if each.revision in shown:
            nodes.append(_node(each, parents, graph, places))
        elif nodes and nodes[-1].folded and nodes[-1].parents == (each.revision,):
            nodes[-1].parents = parents
            nodes[-1].folded += 1
        else:
            nodes.append(Node(each.revision, parents, folded=1))
    return nodes


def _node(
    each: RevisionEntry, parents: tuple[str, ...], graph: GraphEntry, places: Mapping[str, Sequence[str]]
) -> Node:
    tags = (["head"] if each.revision in graph.heads else []) + [f"@{label}" for label in each.branch_labels]
    tags += places.get(each.revision, ())
    known = tuple(dict.fromkeys(each.depends_on))
    return Node(each.revision, parents, known, each.message, tuple(tags), each.new)


def _eventful(graph: GraphEntry, places: Collection[str]) -> set[str]:
    """New ones, the ends, forks and merges, what something stands at, and the neighbours of all of these."""
    children: dict[str, int] = {}
    for each in graph.revisions:
        for parent in each.down_revisions:
            children[parent] = children.get(parent, 0) + 1
    are_all_new = all(each.new for each in graph.revisions)
    special = {
        each.revision
        for each in graph.revisions
        if (each.new and not are_all_new)
        or each.revision in graph.heads
        or len(each.down_revisions) != 1
        or children.get(each.revision, 0) > 1
        or each.branch_labels
        or each.depends_on
        or each.revision in places
    }
    near = {parent for each in graph.revisions if each.revision in special for parent in each.down_revisions}
    near |= {each.revision for each in graph.revisions if special.intersection(each.down_revisions)}
    return special | near


# Where they are


def layout_of(nodes: Sequence[Node]) -> Layout:
    """A lane is a column that is kept for an edge until its parent's row."""
    layout = Layout()
    lanes: list[str | None] = []  # the parent that each lane leads to
    for row, node in enumerate(nodes):
        leading = [lane for lane, parent in enumerate(lanes) if parent == node.id]
        own = leading[0] if leading else _free_lane(lanes)
        for lane in leading:
            lanes[lane] = None
        layout.rows[node.id], layout.lanes[node.id] = row, own
        for number, parent in enumerate(node.parents):
            existing = [lane for lane, leads_to in enumerate(lanes) if leads_to == parent]
            lane = own if number == 0 and lanes[own] is None else existing[0] if existing else _free_lane(lanes)
            lanes[lane] = parent
            layout.tracks[node.id, parent] = lane
        layout.width = max(layout.width, len(lanes))
    return layout


def _free_lane(lanes: list[str | None]) -> int:
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)


# Pictures


def revision_graph(
    graph: GraphEntry, places: Mapping[str, Sequence[str]] | None = None, links: Mapping[str, str] | None = None
) -> Markup:
    """An SVG picture; empty without revisions. `links`: where a revision leads, {"7b39e1f5a0c4": "#revision-7"}."""
    nodes = nodes_of(graph, places or {})
    if not nodes:
        return Markup("")
    return Markup("\n").join(_picture(nodes, layout_of(nodes), links or {}))


def _picture(nodes: Sequence[Node], layout: Layout, links: Mapping[str, str]) -> Iterator[Markup]:
    width = MARGIN + layout.width * LANE + TEXT_WIDTH
    height = len(nodes) * ROW + 8
    yield Markup(
        '<svg class="graph" xmlns="http://www.w3.org/2000/svg" role="group" viewBox="0 0 {0} {1}" width="{0}" height="{1}">'
        "<title>Revisions, the newest first</title>"
    ).format(width, height)
    for node in nodes:
        for parent in node.parents:
            if parent in layout.rows:
                yield _edge(layout, node.id, parent)
        for other in node.depends_on:
            if other in layout.rows:
                yield _dependency(layout, node.id, other)
    for node in nodes:
        yield _label(node, layout, links)
    yield Markup("</svg>")


def _edge(layout: Layout, child: str, parent: str) -> Markup:
    """Down from the child into the lane of the edge, along it, and into the parent."""
    (x1, y1), (x2, y2) = _place(layout, child), _place(layout, parent)
    x = MARGIN + layout.tracks[child, parent] * LANE
    half = ROW / 2
    path = (
        f"M{x1:g} {y1:g}C{x1:g} {y1 + half:g} {x:g} {y1 + half:g} {x:g} {y1 + ROW:g}" if x != x1 else f"M{x:g} {y1:g}"
    )
    if y2 - ROW > y1:
        path += f"V{y2 - ROW:g}"
    if x != x2:
        path += f"C{x:g} {y2 - half:g} {x2:g} {y2 - half:g} {x2:g} {y2:g}"
    else:
        path += f"V{y2:g}"
    return Markup('<path class="edge" d="{}"/>').format(path)


def _dependency(layout: Layout, child: str, other: str) -> Markup:
    (x1, y1), (x2, y2) = _place(layout, child), _place(layout, other)
    middle = max(x1, x2) + LANE
    return Markup('<path class="edge dependency" d="{}"/>').format(
        f"M{x1:g} {y1:g}Q{middle:g} {(y1 + y2) / 2:g} {x2:g} {y2:g}"
    )


def _label(node: Node, layout: Layout, links: Mapping[str, str]) -> Markup:
    x, y = _place(layout, node.id)
    start = MARGIN + layout.width * LANE
    if node.folded:
        dots = Markup('<circle class="folded" cx="{:g}" cy="{:g}" r="2"/>').format(x, y)
        return dots + Markup('<text class="folded" x="{:g}" y="{:g}">… {}</text>').format(
            start, y + 4, counted(node.folded, "revision")
        )
    circle = Markup('<circle class="{}" cx="{:g}" cy="{:g}" r="{}"/>').format(
        "node new" if node.is_new else "node", x, y, RADIUS
    )
    words = Markup('<tspan class="revision">{}</tspan>').format(one_line(node.id)[:40])
    for tag in node.tags:
        words += Markup(' <tspan class="tag" dx="6">{}</tspan>').format(one_line(tag)[:40])
    words += Markup(' <tspan dx="6">{}</tspan>').format(_short(node.message))
    text = Markup('<text x="{:g}" y="{:g}">').format(start, y + 4) + words + Markup("</text>")
    link = links.get(node.id)
    return circle + (Markup('<a href="{}">').format(link) + text + Markup("</a>") if link else text)


def _place(layout: Layout, node: str) -> tuple[float, float]:
    return MARGIN + layout.lanes[node] * LANE, layout.rows[node] * ROW + ROW / 2


def _short(message: str) -> str:
    words = one_line(message)
    return words if len(words) <= MESSAGE_LENGTH else f"{words[:MESSAGE_LENGTH]}…"


def mermaid(graph: GraphEntry, places: Mapping[str, Sequence[str]] | None = None) -> str:
    """The same for https://mermaid.js.org, which GitHub and GitLab show: arrows lead to the older revision."""
    nodes = nodes_of(graph, places or {})
    numbers = {node.id: f"r{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart TB"]
    for node in nodes:
        own = numbers[node.id]
        lines.append(f'    {own}["{_mermaid_words(node)}"]' + (":::new" if node.is_new else ""))
        for arrow, others in (("-->", node.parents), ("-.->", node.depends_on)):
            lines.extend(f"    {own} {arrow} {numbers[each]}" for each in others if each in numbers)
    return "\n".join([*lines, "    classDef new stroke-width:3px"]) + "\n"


def _mermaid_words(node: Node) -> str:
    """In the label's quotes Mermaid reads HTML: what is not a letter or a digit is an entity there."""
    if node.folded:
        return f"… {counted(node.folded, 'revision')}"
    words = " ".join([one_line(node.id), *(f"({one_line(tag)})" for tag in node.tags), _short(node.message)])
    return "".join(each if each.isalnum() or each in " ._-" else f"#{ord(each)};" for each in words.strip())


def standalone(picture: Markup, style: str) -> str:
    """A picture as a file of its own."""
    head, _, rest = str(picture).partition("<title>")
    return f"{head}<style>{style}</style><title>{rest}\n"
