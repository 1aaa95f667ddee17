"""Pictures of a benchmark document: the way from the loop to the GPU, passes under the machine's ceilings,
what grows with rows, columns and threads, and extra memory; and what of the document each is made from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from accel_logreg.measure.intervals import Crossing, Interval, Timed, crossings
from accel_logreg.measure.pictures import (
    BLACK,
    ENGINE_COLOURS,
    STYLE,
    Step,
    draw_lines,
    drawn,
    legend_below,
    log_axes,
    new_axes,
    to_svg,
)
from accel_logreg.measure.words import in_percent, in_words, significant
from bench.report.document import BenchDocument, Record
from bench.report.table import faster, order, share_of_X, way

LESSON_SIZE = 1_000_000
# The staircase: what every machine is asked for, in order, and how a record is recognised.
LADDER = ("loop over arrays", "loop over lists", "NumPy", "Numba, 1 thread", "Numba, all threads", "CuPy")
_ENGINE_OF = dict(zip(LADDER, ("python", "python", "numpy", "numba", "numba", "cupy"), strict=True))
PASSES = ("pass", "csr")
MOST_BARS = 24
_MARKERS = {"python": "o", "numpy": "s", "numba": "^", "cupy": "D"}
AXES: dict[str, Callable[[Record], int]] = {
    "rows": lambda record: record.shape[0],
    "columns": lambda record: record.shape[1] if len(record.shape) > 1 else 1,
    "threads": lambda record: record.threads,
}
FEWEST = {"rows": 3, "columns": 3, "threads": 2}  # points; fewer make no curve


def _dot_groups(document: BenchDocument) -> dict[int, list[Record]]:
    """Length of the vectors → its records, shortest first; those from a cold cache are another question."""
    found: dict[int, list[Record]] = {}
    for record in document.records:
        if record.suite == "dot" and record.dtype == "float64" and record.cache != "cold":
            found.setdefault(max(record.shape), []).append(record)
    return dict(sorted(found.items()))


def staircase_steps(document: BenchDocument) -> tuple[int, list[Step]]:
    """The length that shows most of the ladder, a million if it does as well, and its steps.

    No step at all where no dot product was measured.
    """
    groups = _dot_groups(document)
    if not groups:
        return 0, []
    size = max(
        groups, key=lambda size: (len({_rung(record) for record in groups[size]}), size == LESSON_SIZE, size)
    )
    steps = []
    for name in LADDER:
        records = [record for record in groups[size] if _rung(record) == name]
        best = min(records, key=lambda record: record.median_seconds, default=None)
        if best is None:
            steps.append(Step(name, _ENGINE_OF[name], None, _why_absent(document, name)))
        else:
            words = f"Numba, {best.threads} threads" if name == "Numba, all threads" else name
            steps.append(Step(words, best.engine, Interval(best.median_seconds, *best.interval)))
    return size, steps


def _rung(record: Record) -> str:
    """Which step of the ladder a record of the suite "dot" is."""
    if record.engine == "python":
        return "loop over lists" if "list" in record.version else "loop over arrays"
    if record.engine == "numba":
        return "Numba, 1 thread" if record.threads == 1 else "Numba, all threads"
    return {"numpy": "NumPy", "cupy": "CuPy"}.get(record.engine, record.engine)


def _why_absent(document: BenchDocument, name: str) -> str:
    """The reason that the document gives for a step that was not measured."""
    engine = _ENGINE_OF[name]
    if name == "Numba, all threads" and document.machine.get("usable_cores") == 1:
        return "this machine has one core"
    reasons = [(("dot" not in key), reason) for key, reason in document.skipped.items() if engine in key]
    return min(reasons)[1] if reasons else "no reason recorded"


def dot_ways(document: BenchDocument) -> list[Timed]:
    """Every way to take a dot product with its samples by length; the simplest first."""
    found: dict[str, tuple[Record, dict[int, Sequence[float]]]] = {}
    for size, records in _dot_groups(document).items():
        for record in sorted(records, key=order):
            found.setdefault(way(record), (record, {}))[1][size] = record.seconds
    ordered = sorted(found.items(), key=lambda item: order(item[1][0]))
    return [Timed(name, first.engine, samples, first.interleaved) for name, (first, samples) in ordered]


def dot_crossings(ways: Sequence[Timed]) -> list[Crossing]:
    """Where engines overtake NumPy's one call, and where they overtake the fastest loop."""
    loops = [one for one in ways if one.engine == "python"]
    calls = [one for one in ways if one.engine == "numpy"]
    rivals = loops[-1:] + calls[:1]
    return [
        crossing
        for rival in rivals
        for one in ways
        if one.engine not in ("python", rival.engine)
        for crossing in crossings(one, rival)
    ]


def rooflines(document: BenchDocument) -> dict[str, bytes]:
    """One SVG for the host's passes and one for the device's, each where it has passes and a bandwidth."""
    found: dict[str, bytes] = {}
    for place, memory, prefix in (("host", "read bandwidth", ""), ("device", "device copy", "device ")):
        passes = [
            record
            for record in document.records
            if record.suite in PASSES and record.flops and record.bytes_moved
            and (record.engine == "cupy") == (place == "device")
        ]  # fmt: skip
        if passes and memory in document.ceilings:
            products = {
                name.removeprefix(prefix).removesuffix(" product"): rate
                for name, rate in document.ceilings.items()
                if name.endswith(" product") and name.startswith("device ") == bool(prefix)
            }
            found[place] = _roofline(passes, document, memory, products)
    return found


def _roofline(
    passes: Sequence[Record], document: BenchDocument, memory: str, products: Mapping[str, float]
) -> bytes:
    bandwidth = document.ceilings[memory]
    with rc_context(STYLE):
        figure, axes = new_axes(
            4.8, log=True, xlabel="flops per byte of X, log scale", ylabel="GFLOP/s, log scale"
        )
        titles = {}
        points = [_point(record) for record in passes]
        for number, (record, (x, y)) in enumerate(zip(passes, points, strict=True)):
            look = _look(record.engine)
            hollow: dict[str, Any] = {"mfc": "none"} if record.cache == "hot" else {}
            (mark,) = axes.plot(x, y, ls="none", ms=6.5, alpha=0.9, zorder=3, mew=1.1, **look, **hollow)
            mark.set_gid(f"point{number}")
            titles[f"point{number}"] = _title(record)
        corners = [(rate / bandwidth, rate / 1e9) for rate in products.values()]
        xs, ys = zip(*points, *corners, strict=True)
        axes.set_xlim(min(xs) / 2.5, max(xs) * 6.0)
        axes.set_ylim(min(ys) / 2.5, max(ys) * 2.5)
        name = _ceilings(axes, bandwidth, memory, products)
        # From a cache, X may come faster than the memory's ceiling: no merit of the engine's.
        fair = [record for record in passes if record.cache != "hot"] or passes
        best = max(fair, key=lambda record: record.percent_of_ceiling or 0.0)
        if best.percent_of_ceiling:
            axes.set_title(f"{_nearest(best, document)}\n({best.group})")
        log_axes(axes, x="rates", y="rates")
        engines = list(dict.fromkeys(record.engine for record in sorted(passes, key=order)))
        handles = [Line2D([], [], ls="none", label=name, **_look(name)) for name in engines]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        figure.canvas.draw()  # the slope on the page is known once it is laid out
        x, y = axes.transData.transform([(1.0, bandwidth), (10.0, 10.0 * bandwidth)]).T
        name.set_rotation(math.degrees(math.atan2(y[1] - y[0], x[1] - x[0])))
        return to_svg(figure, titles)


def _nearest(best: Record, document: BenchDocument) -> str:
    if best.ceiling_of in document.exceeded:
        return f"The ceiling of this run is its best rate: {way(best)}"
    return f"Nearest to its ceiling: {way(best)}, {in_percent(best.percent_of_ceiling or 0.0)}"


def _look(engine: str) -> dict[str, Any]:
    return {"marker": _MARKERS.get(engine, "o"), "color": ENGINE_COLOURS.get(engine, BLACK)}


def _point(record: Record) -> tuple[float, float]:
    flops, moved = record.flops or 0.0, record.bytes_moved or 1.0
    return flops / moved, flops / record.median_seconds / 1e9


def _title(record: Record) -> str:
    parts = [f"{record.group}: {way(record)}", record.cache, in_words(record.median_seconds)]
    if record.percent_of_ceiling is not None:
        parts.append(f"{in_percent(record.percent_of_ceiling)} of {record.ceiling_of}")
    return ", ".join(filter(None, parts))


def _ceilings(axes: Axes, bandwidth: float, memory: str, products: Mapping[str, float]) -> Annotation:
    """Draw the lines and name them; the name of the memory's, to be turned along it, is the answer."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    slope = bandwidth / 1e9
    peak = max((rate / 1e9 for rate in products.values()), default=right * slope)
    axes.plot([left, peak / slope], [left * slope, peak], color=BLACK, lw=1.6)
    levels: list[float] = []
    for name, rate in sorted(products.items(), key=lambda item: -item[1]):
        level = rate / 1e9
        axes.plot([level / slope, right], [level, level], color=BLACK, lw=1.6, ls="-" if not levels else "--")
        # Two ceilings of nearly one height: the lower one's name goes below its line.
        below = any(known / level < (top / bottom) ** 0.07 for known in levels)
        axes.annotate(
            f"{name}: {significant(level)} GFLOP/s", (right, level), (-2, -4 if below else 4),
            textcoords="offset points", ha="right", va="top" if below else "bottom", fontsize=9.5,
        )  # fmt: skip
        levels.append(level)
    start = max(left, bottom / slope) * 1.15
    return axes.annotate(
        f"{memory}: {significant(slope)} GB/s", (start, start * slope), (1, 5), textcoords="offset points",
        rotation_mode="anchor", fontsize=9.5,
    )  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """points: (size along the axis, record), ascending."""

    name: str
    engine: str
    points: tuple[tuple[int, Record], ...]


def curves(document: BenchDocument, suite: str = "scaling") -> dict[str, list[Curve]]:
    """Axis → its curves; an axis along which nothing was varied is left out."""
    records = [record for record in document.records if record.suite == suite]
    found: dict[str, list[Curve]] = {}
    for axis, size in AXES.items():
        families: dict[tuple[object, ...], dict[int, Record]] = {}
        for record in sorted(records, key=order):
            others = tuple(other(record) for name, other in AXES.items() if name != axis)
            key = (record.engine, _rest(record.version), record.dtype, _rest(record.group), *others)
            families.setdefault(key, {})[size(record)] = record
        long = [family for family in families.values() if len(family) >= FEWEST[axis]]
        if long:
            found[axis] = [_curve(family, axis) for family in long]
    return found


def _rest(text: str) -> str:
    """A group or version without its numbers and what they count, which is what varies: "gradient"."""
    words = re.sub(r"\b\d[\d,.e]*(x\d[\d,.e]*)*\b", "", text)
    words = re.sub(r"\b(by|float32|float64|rows|columns|threads?)\b", "", words)
    return " ".join(words.replace(",", " ").split())


def _curve(family: Mapping[int, Record], axis: str) -> Curve:
    """Named by engine, question and what was held: "numba, gradient, 28 columns"."""
    record = next(iter(family.values()))
    held = {
        "rows": f"{AXES['columns'](record):,} columns",
        "columns": f"{record.shape[0]:,} rows",
        "threads": " × ".join(f"{length:,}" for length in record.shape),
    }[axis]
    parts = [record.engine, _rest(record.group), record.dtype, held]
    if record.engine == "numba" and axis != "threads":
        parts.append("1 thread" if record.threads == 1 else f"{record.threads} threads")
    return Curve(", ".join(filter(None, parts)), record.engine, tuple(sorted(family.items())))


CAPTIONS = {
    "rows": "A line as steep as the grey ones takes twice as long for twice the rows; a flatter one still "
    "pays for the call itself. Bands: 95 % intervals of the medians.",
    "columns": "A line as steep as the grey ones takes twice as long for twice the columns. Bands: 95 % "
    "intervals of the medians.",
    "threads": "Grey: every thread gains as much as the first. What comes from memory cannot: there the "
    "bandwidth is shared. Bands: 95 % intervals of the ratio.",
}


@drawn
def scaling(axis: str, curves: Sequence[Curve], ceilings: Mapping[str, float]) -> Figure:
    """One SVG for one axis: "rows", "columns" or "threads"."""
    bandwidth = ceilings.get("read bandwidth")
    note = f"; memory reads {significant(bandwidth / 1e9)} GB/s" if bandwidth and axis == "threads" else ""
    figure, axes = new_axes(3.9 + 0.19 * len(curves), title=f"Over {axis}{note}", xlabel=axis)
    if axis == "threads":
        _threads(axes, curves)
    else:
        _times(axes, curves)
    legend_below(figure, axes, 1)
    return figure


def _times(axes: Axes, curves: Sequence[Curve]) -> None:
    axes.set(xscale="log", yscale="log", ylabel="median time of one call")
    medians = [
        {size: Interval(record.median_seconds, *record.interval) for size, record in curve.points}
        for curve in curves
    ]
    _lines(axes, curves, medians)
    limits = axes.get_xlim(), axes.get_ylim()
    left = limits[0][0]
    for points in medians:  # grey rays of slope one, through the end of every line
        size = max(points)
        last = points[size].value
        axes.plot([left, size], [last * left / size, last], color="0.75", lw=0.8, zorder=1)
    axes.set(xlim=limits[0], ylim=limits[1])
    log_axes(axes, x="counts", y="seconds")


def _threads(axes: Axes, curves: Sequence[Curve]) -> None:
    most = max(size for curve in curves for size, _ in curve.points)
    axes.plot([1, most], [1, most], color="0.75", lw=0.8, zorder=1)
    gains = [{size: faster(record, curve.points[0][1]) for size, record in curve.points} for curve in curves]
    _lines(axes, curves, gains)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(
        f"times faster than on {'one thread' if curves[0].points[0][0] == 1 else 'the fewest threads'}"
    )
    axes.set_ylim(0.0, None)


def _lines(axes: Axes, curves: Sequence[Curve], values: Sequence[Mapping[int, Interval]]) -> None:
    draw_lines(axes, [(curve.name, curve.engine, one) for curve, one in zip(curves, values, strict=True)])


def memory(document: BenchDocument) -> bytes | None:
    """Extra memory of the suite "memory" in percent of X, the most first; None where nothing was measured."""
    records = [record for record in document.records if record.suite == "memory"]
    shares = {record.name: share for record in records if (share := share_of_X(record)) is not None}
    if not shares:
        return None
    known = [record for record in records if record.name in shares]
    shown = sorted(known, key=lambda record: -shares[record.name])[:MOST_BARS]
    return _memory([(record, shares[record.name]) for record in shown])


@drawn
def _memory(shown: Sequence[tuple[Record, float]]) -> Figure:
    figure, axes = new_axes(1.0 + 0.34 * len(shown), xlabel="extra memory at the peak, percent of X")
    for level, (record, share) in enumerate(shown):
        axes.barh(level, share, 0.62, color=ENGINE_COLOURS.get(record.engine, BLACK))
        axes.annotate(
            in_percent(share), (share, level), (4, 0), textcoords="offset points", va="center", fontsize=9.5
        )
    names = [f"{way(record)}\n{record.group}" for record, _ in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.18 * max(share for _, share in shown) or 1.0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    return figure
