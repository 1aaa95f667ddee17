"""(J − J*)/J* against time, one picture a shape: each line is a solver, each point a tolerance."""

from __future__ import annotations

import math
import textwrap
from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure.axes import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, new_figure
from bench.peers.results import PROMISE, TARGET, Run, ShapeResult
from bench.peers.solvers import OURS

# A colour a library (Okabe and Ito), a marker and dash a solver of it.
_LIBRARIES = {
    OURS: BLACK,
    "scikit-learn": BLUE,
    "sklearnex": SKY,
    "glum": GREEN,
    "snapml": ORANGE,
    "liblinear-multicore": VERMILION,
    "skglm": PURPLE,
}
_MARKS = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", (0, (5, 1))), ("P", (0, (1, 3))))
_FLOOR = 1e-15  # what is nearer than that is drawn there: float64 tells no more
_NEARER = 0.9  # a slower run is drawn if it comes nearer by more than this
_NAMED = 6  # peers with a colour
_LINE = 0.047  # of the height: a label needs that much


def save(results: list[ShapeResult], folder: Path) -> list[Path]:
    """One SVG a shape, whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for result in results:
        path = folder / f"{result.name}.svg"
        with atomic_write(path) as stream:
            stream.write(svg(panel(result)))
        paths.append(path)
    return paths


def svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    # Without a date and with fixed ids, the same results give the same file.
    with rc_context({"svg.hashsalt": "accel_logreg", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def panel(result: ShapeResult) -> Figure:
    """The picture of one shape."""
    with rc_context(STYLE):
        figure = new_figure(5.2, width=9.0)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        lines = _lines(result)
        named = _named(result, lines)
        ends = []
        for solver, runs in lines.items():
            gaps = [max(run.suboptimality or 0.0, _FLOOR) for run in runs]
            times = [run.median for run in runs]
            if solver not in named:
                axes.plot(times, gaps, color="0.75", marker=".", lw=1.0, ms=5, zorder=1.5)
                continue
            colour, marker, dash = _look(solver, named)
            width, size, order = (2.6, 8, 3) if solver == OURS else (1.4, 5, 2)
            axes.plot(times, gaps, color=colour, marker=marker, ls=dash, lw=width, ms=size, zorder=order)
            ends.append((solver, colour, times[-1], gaps[-1]))
        for gap, words in ((TARGET, "a peer is compared from here"), (PROMISE, "what our default promises")):
            axes.axhline(gap, color="0.55", lw=0.8, zorder=1)
            axes.annotate(
                words,
                (0.995, gap),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                color="0.4",
                fontsize=8,
            )
        others = [solver for solver in lines if solver not in named]
        grey = f"\ngrey: {', '.join(others)}" if others else ""
        axes.set_xlabel(f"time of one fit, warm (s){textwrap.fill(grey, 110, replace_whitespace=False)}")
        axes.set_ylabel("(J − J*) / J*")
        axes.set_title(_title(result))
        _labels(axes, ends)
        return figure


def _lines(result: ShapeResult) -> dict[str, list[Run]]:
    """Solver → its runs that no other run of it beats in both time and gap, loosest first."""
    lines = {}
    for solver in dict.fromkeys(run.solver for run in result.runs):
        runs = [r for r in result.runs if r.solver == solver and r.reaches(1.0)]
        best: list[Run] = []
        for run in sorted(runs, key=lambda r: (r.median, r.suboptimality)):
            if not best or (run.suboptimality or 0.0) < _NEARER * (best[-1].suboptimality or 0.0):
                best.append(run)
        if best:
            lines[solver] = best
    return lines


def _named(result: ShapeResult, lines: dict[str, list[Run]]) -> list[str]:
    """Ours and the peers that are fastest to TARGET, which get colours and names; more would be a thicket."""

    def order(solver: str) -> tuple[float, float]:
        run = result.fastest(solver, TARGET)
        nearest = min(r.suboptimality or 0.0 for r in lines[solver])
        return (math.inf, nearest) if run is None else (run.median, 0.0)

    peers = sorted((solver for solver in lines if solver != OURS), key=order)
    return [solver for solver in lines if solver == OURS or solver in peers[:_NAMED]]


def _look(solver: str, solvers: list[str]) -> tuple[str, str, str | tuple[int, tuple[int, ...]]]:
    library = next((name for name in _LIBRARIES if solver.startswith(name)), "")
    siblings = [name for name in solvers if name.startswith(library)]
    marker, dash = _MARKS[siblings.index(solver) % len(_MARKS)]
    return _LIBRARIES.get(library, "0.5"), marker, dash


def _title(result: ShapeResult) -> str:
    ours, peer = result.ours, result.best_peer(TARGET)
    name = result.name if result.divided_by == 1 else f"{result.name} (rows ÷ {result.divided_by})"
    if ours is None or peer is None or not ours.reaches(PROMISE):
        return name
    return f"{name}: {peer.median / ours.median:.3g} times as fast as {peer.solver}"


def _labels(axes: Axes, ends: list[tuple[str, str, float, float]]) -> None:
    """Each line's name in a column on the right, level with its end or as near as there is room."""
    low, high = axes.get_ylim()
    _, right = axes.get_xlim()
    to_axes = axes.transAxes.inverted()

    def height(gap: float) -> float:
        return float(to_axes.transform(axes.transData.transform((right, gap)))[1])

    wanted = sorted((height(min(max(gap, low), high)), name, colour, x, gap) for name, colour, x, gap in ends)
    level = -1.0
    places = []
    for y, *_ in wanted:
        level = max(y, level + _LINE)
        places.append(level)
    surplus = max(0.0, places[-1] - 1.0) if places else 0.0
    for (_, name, colour, x, gap), place in zip(wanted, places, strict=True):
        axes.annotate(
            name,
            (x, gap),
            (1.02, place - surplus),
            textcoords="axes fraction",
            color=colour,
            fontsize=9,
            fontweight="bold" if name == OURS else "normal",
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.6, "shrinkB": 3},
        )
