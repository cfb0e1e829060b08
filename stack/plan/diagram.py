"""The graph of the stack on paper: a column for each kind, boxes beside what they are joined to, arrows as curves."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from statistics import fmean

from stack.plan.topology import COLUMNS, EXCHANGE, SOURCE, Edge, Node, Topology

# Pixels: a box, the step to the box below, the step to the next column, and the room above for the titles.
WIDTH, HEIGHT, STEP, STRIDE, TOP = 152, 40, 50, 203, 34
# Characters that a box has room for.
_LONGEST = 15
# Of these, the beginning of a name that is told apart from others by a later part.
_HEAD = 3
# How far an arrow bends that joins two boxes of one column.
_BEND = 36
# Times that each column is laid beside its neighbours; more changes little.
_SWEEPS = 6
# What an arrow that passes a column goes through there, so that it crosses no box; never the name of a node.
_VIA = "\0via "


@dataclass(frozen=True)
class Box:
    """A node, its upper left corner, and its name as far as there is room for it."""

    node: Node
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Arrow:
    """An edge and the curve of its last part, as the path of an SVG; its label stands where it is alone."""

    edge: Edge
    path: str
    label_x: float
    label_y: float
    is_labelled_at_end: bool
    is_back: bool = False
    """Whether it does not lead to the right, as all others do: from one function to another, or back to a queue."""


@dataclass(frozen=True)
class Diagram:
    """Everything with its place; `trunks` are the parts that several arrows share."""

    width: float
    height: float
    columns: Sequence[tuple[str, float]]
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    trunks: Sequence[str]


def lay_out(topology: Topology) -> Diagram:
    """Give each node and edge a place; a column without nodes takes no room."""
    columns = [kind for kind in COLUMNS if any(node.kind == kind for node in topology.nodes)]
    routes = {edge: _route(edge, columns) for edge in topology.edges}
    rows = _find_rows(topology.nodes, list(routes.values()), columns=columns)
    x = {kind: place * STRIDE for place, kind in enumerate(columns)}
    names = {kind: [node.name for node in topology.nodes if node.kind == kind] for kind in columns}
    texts = {kind: shorten(some) for kind, some in names.items()}
    boxes = {
        node: Box(node, x[node.kind], TOP + row * STEP, texts[node.kind].get(node.name, ""))
        for node, row in rows.items()
    }
    return Diagram(
        width=max(len(columns) - 1, 0) * STRIDE + WIDTH + (_BEND if any(map(_is_beside, routes)) else 0),
        height=TOP + (max(rows.values(), default=0) + 1) * STEP,
        columns=tuple(x.items()),
        boxes=tuple(boxes[node] for node in topology.nodes),
        arrows=tuple(_draw(edge, boxes[route[-2]], target=boxes[route[-1]]) for edge, route in routes.items()),
        trunks=tuple(dict.fromkeys(part for route in routes.values() for part in _draw_trunk(route, boxes))),
    )


def shorten(names: Sequence[str]) -> dict[str, str]:
    """Return each name with its middle left out where it is long, but so that no two that differ read the same."""
    half = _LONGEST // 2
    texts = {name: name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}" for name in names}
    groups = [list(texts)]
    while groups:
        alike = defaultdict(list)
        for name in groups.pop():
            alike[texts[name]].append(name)
        for group in alike.values():
            if len(group) > 1:
                texts |= _tell_apart(group)
                groups.append(group)
    return texts


def _tell_apart(names: Sequence[str]) -> dict[str, str]:
    """Shorten names so that the part remains in which they first differ."""
    begin = names[0][:_HEAD]
    place = next(at for at, letters in enumerate(zip_longest(*names)) if len(set(letters)) > 1)
    rests = {name: name[place:] for name in names}
    room = _LONGEST - len(begin) - 1
    return {name: f"{begin}…{rest if len(rest) <= room else rest[: room - 1] + '…'}" for name, rest in rests.items()}


def _route(edge: Edge, columns: Sequence[str]) -> list[Node]:
    """Return what an edge goes through; those that leave one node share their way for as long as they can."""
    first, last = columns.index(edge.source.kind), columns.index(edge.target.kind)
    between = [Node(kind, _VIA + edge.source.name) for kind in columns[first + 1 : last]]
    return [edge.source, *between, edge.target]


def _find_rows(nodes: Sequence[Node], routes: Sequence[Sequence[Node]], *, columns: Sequence[str]) -> dict[Node, float]:
    """Return each node's row; a column is ordered by where its neighbours are, so that few arrows cross."""
    neighbours: defaultdict[Node, dict[Node, None]] = defaultdict(dict)
    for one, other in (pair for route in routes for pair in pairwise(route)):
        neighbours[one][other] = neighbours[other][one] = None
    every = sorted(dict.fromkeys([*nodes, *neighbours]))
    members = {kind: [node for node in every if node.kind == kind] for kind in columns}
    rows: dict[Node, float] = {}
    for column in members.values():
        rows |= _order(column, neighbours, rows)
    for sweep in range(_SWEEPS):
        for kind in columns if sweep % 2 == 0 else reversed(columns):
            rows |= _settle(members[kind], neighbours, rows=rows)
    return _close_gaps(rows)


def _order(
    nodes: Sequence[Node], neighbours: Mapping[Node, Mapping[Node, None]], rows: Mapping[Node, float]
) -> dict[Node, float]:
    """Give a column's nodes a row each, in the order of their neighbours to the left."""
    left = {node: [rows[one] for one in neighbours.get(node, ()) if one in rows] for node in nodes}
    ordered = sorted(nodes, key=lambda one: (fmean(left[one]) if left[one] else float("inf"), one))
    return {node: float(row) for row, node in enumerate(ordered)}


def _settle(
    nodes: Sequence[Node], neighbours: Mapping[Node, Mapping[Node, None]], *, rows: Mapping[Node, float]
) -> dict[Node, float]:
    """Lay a column's nodes beside the middle of their neighbours, in that order, each a row below the one before."""
    last = max(rows.values(), default=0.0)
    wished = {node: fmean(map(rows.__getitem__, neighbours[node])) if node in neighbours else last for node in nodes}
    placed: dict[Node, float] = {}
    free = float("-inf")
    for node in sorted(nodes, key=lambda one: (wished[one], one)):
        placed[node] = max(wished[node], free)
        free = placed[node] + 1
    # All were only pushed down: on average they shall stand where they wished to.
    excess = fmean(placed[node] - wished[node] for node in placed) if placed else 0.0
    return {node: row - excess for node, row in placed.items()}


def _close_gaps(rows: Mapping[Node, float]) -> dict[Node, float]:
    """Begin with row 0, and leave no row empty in all columns: parts that nothing joins drift apart."""
    closed: dict[Node, float] = {}
    shift = before = min(rows.values(), default=0.0)
    for node in sorted(rows, key=rows.__getitem__):
        shift += max(0.0, rows[node] - before - 1)
        before = rows[node]
        closed[node] = rows[node] - shift
    return closed


def _is_beside(edge: Edge) -> bool:
    return edge.source.kind == edge.target.kind


def _draw(edge: Edge, source: Box, *, target: Box) -> Arrow:
    if source.x >= target.x:
        return _draw_back(edge, source, target=target)
    # Several arrows may leave a box, or reach it, at one point.
    is_at_end = edge.source.kind in (SOURCE, EXCHANGE)
    x, y = (target.x - 8, target.y) if is_at_end else (source.x + WIDTH + 8, source.y)
    return Arrow(edge, _curve(source, target), x, y + HEIGHT / 2 - 6, is_at_end)


def _draw_back(edge: Edge, source: Box, *, target: Box) -> Arrow:
    """Draw an arrow at the right of two boxes of one column, or from the left of a box to the right of one before."""
    x1, y1 = source.x + (WIDTH if _is_beside(edge) else 0), source.y + HEIGHT * 0.25
    x2, y2 = target.x + WIDTH, target.y + HEIGHT * 0.75
    bend = x1 + _BEND if _is_beside(edge) else (x1 + x2) / 2
    path = f"M{x1:g} {y1:.1f}C{bend:g} {y1:.1f} {bend:g} {y2:.1f} {x2:g} {y2:.1f}"
    return Arrow(edge, path, source.x - 8, y1 - 4, is_labelled_at_end=True, is_back=True)


def _draw_trunk(route: Sequence[Node], boxes: Mapping[Node, Box]) -> Iterator[str]:
    """Yield the parts of a route up to the last column that it passes."""
    for one, other in pairwise(route[:-1]):
        via = boxes[other]
        yield f"{_curve(boxes[one], via)}H{via.x + WIDTH:g}"


def _curve(source: Box, target: Box) -> str:
    x1, y1 = source.x + WIDTH, source.y + HEIGHT / 2
    x2, y2 = target.x, target.y + HEIGHT / 2
    middle = (x1 + x2) / 2
    return f"M{x1:g} {y1:.1f}C{middle:g} {y1:.1f} {middle:g} {y2:.1f} {x2:g} {y2:.1f}"
