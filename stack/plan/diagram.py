"""The graph of the stack on paper: a column for each kind, boxes beside what they are joined to, arrows as curves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from stack.plan.topology import EXCHANGE, FUNCTION, OUTPUT, QUEUE, SOURCE, Edge, Node, Topology

COLUMNS = (SOURCE, EXCHANGE, QUEUE, FUNCTION, OUTPUT)
# Pixels: a box, the step to the box below, the step to the next column, and the room above for the titles.
WIDTH, HEIGHT, STEP, STRIDE, TOP = 172, 40, 52, 252, 34
# Times that each column is laid beside its neighbours; more changes little.
_SWEEPS = 4


@dataclass(frozen=True)
class Box:
    """A node and its upper left corner."""

    node: Node
    x: float
    y: float


@dataclass(frozen=True)
class Arrow:
    """An edge and its curve, as the path of an SVG; the label stands above its beginning or its end."""

    edge: Edge
    path: str
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Diagram:
    """Everything with its place."""

    width: float
    height: float
    columns: Sequence[tuple[str, float]]
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]


def lay_out(topology: Topology) -> Diagram:
    """Give each node and edge a place; a column without nodes takes no room."""
    columns = [kind for kind in COLUMNS if any(node.kind == kind for node in topology.nodes)]
    x = {kind: place * STRIDE for place, kind in enumerate(columns)}
    y = _stack(topology, columns)
    boxes = {node: Box(node, x[node.kind], TOP + y[node] * STEP) for node in topology.nodes}
    return Diagram(
        width=max(len(columns) - 1, 0) * STRIDE + WIDTH,
        height=TOP + (max(y.values(), default=0) + 1) * STEP,
        columns=tuple(x.items()),
        boxes=tuple(boxes.values()),
        arrows=tuple(_draw(edge, boxes[edge.source], boxes[edge.target]) for edge in topology.edges),
    )


def _stack(topology: Topology, columns: Sequence[str]) -> dict[Node, float]:
    """Return each node's row; a column is ordered by where its neighbours are, so that few arrows cross."""
    neighbours: defaultdict[Node, list[Node]] = defaultdict(list)
    for edge in topology.edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    members = {kind: sorted(node for node in topology.nodes if node.kind == kind) for kind in columns}
    rows = {node: float(row) for nodes in members.values() for row, node in enumerate(nodes)}
    for sweep in range(_SWEEPS):
        for kind in columns if sweep % 2 == 0 else reversed(columns):
            rows |= _settle(members[kind], neighbours, rows)
    lowest = min(rows.values(), default=0.0)
    return {node: row - lowest for node, row in rows.items()}


def _settle(
    nodes: Sequence[Node], neighbours: Mapping[Node, Sequence[Node]], rows: Mapping[Node, float]
) -> dict[Node, float]:
    """Lay a column's nodes beside the middle of their neighbours, in that order, each a row below the one before."""
    wished = {node: fmean(rows[one] for one in neighbours[node]) if neighbours[node] else rows[node] for node in nodes}
    placed: dict[Node, float] = {}
    free = float("-inf")
    for node in sorted(nodes, key=lambda one: (wished[one], one)):
        placed[node] = max(wished[node], free)
        free = placed[node] + 1
    if not placed:
        return {}
    # Pushed down only: half of the way back keeps the column beside its neighbours.
    excess = fmean(placed[node] - wished[node] for node in placed)
    return {node: row - excess for node, row in placed.items()}


def _draw(edge: Edge, source: Box, target: Box) -> Arrow:
    x1, y1 = source.x + WIDTH, source.y + HEIGHT / 2
    x2, y2 = target.x, target.y + HEIGHT / 2
    bend = min((x2 - x1) / 2, STRIDE - WIDTH)
    path = f"M{x1:g} {y1:.1f}C{x1 + bend:g} {y1:.1f} {x2 - bend:g} {y2:.1f} {x2:g} {y2:.1f}"
    # Several arrows may leave a box, or reach it, at one point: the label is where this one is alone.
    is_at_end = edge.source.kind in (SOURCE, EXCHANGE)
    return Arrow(edge, path, x2 - 8 if is_at_end else x1 + 8, (y2 if is_at_end else y1) - 6)
