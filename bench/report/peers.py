"""(J − J*)/J* against time beside other libraries, from a file that ``make peers`` wrote."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from accel_logreg.measure.pictures import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    drawn,
    legend_below,
    log_axes,
    new_axes,
)
from accel_logreg.measure.words import significant

FORMAT = "accel_logreg peers"
OURS = "accel_logreg"
TARGET = 1e-6  # a peer has to come this close to be compared with
PROMISE = 1e-8  # how close our default says it comes
FLOOR = 1e-15  # what is nearer than that is drawn there: float64 tells no more
NAMED = 5  # peers with a colour; more would be a thicket
LOOKS = (
    (BLUE, "s", "--"),
    (VERMILION, "^", "-"),
    (GREEN, "D", ":"),
    (PURPLE, "v", "-."),
    (ORANGE, "P", "--"),
)
_NEARER = 0.9  # a slower run is drawn if it comes nearer by more than this

Line = list[tuple[float, float]]


class PeersError(ValueError):
    """A file is not one that ``make peers`` wrote; the message says what is wrong."""


@dataclass(frozen=True)
class PeerShape:
    """One problem.

    lines : dict of str to list of (seconds, suboptimality)
        Solver → its runs that no other run of it beats in both, loosest first; ours first of all.
    named, unnamed : list of str
        The solvers that get a colour, and those in grey.
    """

    name: str
    lines: dict[str, Line]
    named: list[str]
    unnamed: list[str]


def read(path: Path) -> list[PeerShape]:
    """Every shape in the file.

    Raises
    ------
    PeersError
        Not JSON, of another format, or a shape that lacks something.
    OSError
        The file cannot be read.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PeersError(f"{path} is not JSON: {error}. 'make peers' writes such a file") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise PeersError(f"{path} is JSON, but not of 'make peers': its format is not {FORMAT!r}")
    try:
        return [shape_of(entry) for entry in body["shapes"]]
    except (KeyError, TypeError) as error:
        raise PeersError(f"{path} is not a whole file of 'make peers': {error!r}") from None


@drawn
def panel(shape: PeerShape) -> Figure:
    """One shape as SVG; it must have lines."""
    words = {"xlabel": "time of one fit, warm, log scale", "ylabel": "(J − J*) / J*", "title": _title(shape)}
    figure, axes = new_axes(4.9, log=True, **words)
    for solver in shape.unnamed:
        axes.plot(*_columns(shape.lines[solver]), color="0.75", marker=".", lw=0.9, ms=4, zorder=1.5)
    for k, solver in enumerate(shape.named):
        ours = solver == OURS
        colour, marker, dash = (BLACK, "o", "-") if ours else LOOKS[(k - 1) % len(LOOKS)]
        axes.plot(
            *_columns(shape.lines[solver]), color=colour, marker=marker, ls=dash, label=solver,
            lw=2.6 if ours else 1.4, ms=7 if ours else 5, zorder=3 if ours else 2,
        )  # fmt: skip
    for gap in (TARGET, PROMISE):
        axes.axhline(gap, color="0.5", lw=1.0, ls=(0, (5, 3)), zorder=1)
    log_axes(axes, x="seconds", y="gaps")
    legend_below(figure, axes)
    return figure


def _columns(line: Line) -> tuple[list[float], list[float]]:
    return [seconds for seconds, _ in line], [max(gap, FLOOR) for _, gap in line]


def _title(shape: PeerShape) -> str:
    ours = _fastest(shape.lines.get(OURS, []), PROMISE)
    peers = {solver: _fastest(line, TARGET) for solver, line in shape.lines.items() if solver != OURS}
    best = min(peers, key=lambda solver: peers[solver], default=None)
    if best is None or not math.isfinite(ours) or not math.isfinite(peers[best]):
        return shape.name
    return f"{shape.name}: {significant(peers[best] / ours)} times as fast as\n{best}"


def _fastest(line: Line, gap: float) -> float:
    return min((seconds for seconds, found in line if found <= gap), default=math.inf)


def shape_of(entry: dict[str, Any]) -> PeerShape:
    """One shape as the file has it."""
    runs: dict[str, Line] = {}
    for run in entry["runs"]:
        gap = run["suboptimality"]
        if not run["trouble"] and gap is not None and gap <= 1.0 and run["seconds"]:
            runs.setdefault(run["solver"], []).append((median(run["seconds"]), max(gap, 0.0)))
    lines = {
        solver: _front(found) for solver, found in sorted(runs.items(), key=lambda item: item[0] != OURS)
    }
    by_speed = sorted(lines, key=lambda solver: (solver != OURS, _fastest(lines[solver], TARGET)))
    named = by_speed[: NAMED + (OURS in lines)]
    divided = entry.get("divided_by", 1)
    name = entry["name"] if divided == 1 else f"{entry['name']} (rows ÷ {divided})"
    return PeerShape(name, lines, named, [solver for solver in lines if solver not in named])


def _front(runs: Line) -> Line:
    best: Line = []
    for seconds, gap in sorted(runs):
        if not best or gap < _NEARER * best[-1][1]:
            best.append((seconds, gap))
    return best
