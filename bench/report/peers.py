"""(J − J*)/J* against time beside other libraries, of what ``make peers`` measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
from bench.peers.results import PROMISE, TARGET, ShapeResult
from bench.peers.solvers import OURS

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


@dataclass(frozen=True)
class PeerShape:
    """One problem.

    title : its name, and how much faster ours is than the best peer where that is known
    lines : dict of str to list of (seconds, suboptimality)
        Solver → its runs that no other run of it beats in both, loosest first; ours first of all.
    named, unnamed : list of str
        The solvers that get a colour, and those in grey.
    """

    name: str
    title: str
    lines: dict[str, Line]
    named: list[str]
    unnamed: list[str]


def shape_of(result: ShapeResult) -> PeerShape:
    """What is drawn of one shape."""
    runs: dict[str, Line] = {}
    for run in result.runs:
        if run.reaches(1.0) and run.seconds:
            runs.setdefault(run.solver, []).append((run.median, max(run.suboptimality or 0.0, 0.0)))
    ours_first = sorted(runs, key=lambda solver: solver != OURS)
    by_speed = sorted(ours_first, key=lambda solver: (solver != OURS, _seconds(result, solver)))
    named = by_speed[: NAMED + (OURS in runs)]
    name = result.name if result.divided_by == 1 else f"{result.name} (rows ÷ {result.divided_by})"
    ours, best = result.fastest(OURS, PROMISE), result.best_peer(TARGET)
    title = name
    if ours is not None and best is not None:
        title = f"{name}: {significant(best.median / ours.median)} times as fast as\n{best.solver}"
    lines = {solver: _front(runs[solver]) for solver in ours_first}
    return PeerShape(name, title, lines, named, [solver for solver in lines if solver not in named])


def _seconds(result: ShapeResult, solver: str) -> float:
    run = result.fastest(solver, TARGET)
    return math.inf if run is None else run.median


@drawn
def panel(shape: PeerShape) -> Figure:
    """One shape as SVG; it must have lines."""
    words = {"xlabel": "time of one fit, warm, log scale", "ylabel": "(J − J*) / J*", "title": shape.title}
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


def _front(runs: Line) -> Line:
    best: Line = []
    for seconds, gap in sorted(runs):
        if not best or gap < _NEARER * best[-1][1]:
            best.append((seconds, gap))
    return best
