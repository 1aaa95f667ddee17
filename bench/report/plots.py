"""Pictures of a benchmark document: passes under the machine's ceilings, and extra memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from accel_logreg.measure.axes import (
    BLACK,
    ENGINE_COLOURS,
    ENGINE_MARKERS,
    STYLE,
    log_axes,
    new_figure,
    short_count,
)
from accel_logreg.measure.clock import in_words, significant
from accel_logreg.measure.svg import to_svg
from accel_logreg.measure.words import in_percent
from bench.report.document import BenchDocument, Record
from bench.report.ways import order, share_of_X, way

PASSES = ("pass", "csr")
MOST_BARS = 24


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
            found[place] = _roofline(passes, document.ceilings[memory], memory, products)
    return found


def _roofline(
    passes: Sequence[Record], bandwidth: float, memory: str, products: Mapping[str, float]
) -> bytes:
    with rc_context(STYLE):
        figure = new_figure(4.8)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        titles = {}
        points = [_point(record) for record in passes]
        for number, (record, (x, y)) in enumerate(zip(passes, points, strict=True)):
            colour = ENGINE_COLOURS.get(record.engine, BLACK)
            (mark,) = axes.plot(
                x, y, ENGINE_MARKERS.get(record.engine, "o"), ms=6.5, color=colour, alpha=0.9, zorder=3,
                mfc="none" if record.cache == "hot" else colour, mew=1.1,
            )  # fmt: skip
            mark.set_gid(f"point{number}")
            titles[f"point{number}"] = _title(record)
        corners = [(rate / bandwidth, rate / 1e9) for rate in products.values()]
        xs, ys = zip(*points, *corners, strict=True)
        axes.set_xlim(min(xs) / 2.5, max(xs) * 6.0)
        axes.set_ylim(min(ys) / 2.5, max(ys) * 2.5)
        name = _ceilings(axes, bandwidth, memory, products)
        axes.set_xlabel("flops per byte of X, log scale")
        axes.set_ylabel("GFLOP/s, log scale")
        # From a cache, X may come faster than the memory's ceiling: no merit of the engine's.
        fair = [record for record in passes if record.cache != "hot"] or passes
        best = max(fair, key=lambda record: record.percent_of_ceiling or 0.0)
        if best.percent_of_ceiling:
            axes.set_title(
                f"Nearest to its ceiling: {way(best)}, {in_percent(best.percent_of_ceiling)}\n({best.group})"
            )
        log_axes(axes, x="rates", y="rates")
        engines = list(dict.fromkeys(record.engine for record in sorted(passes, key=order)))
        handles = [
            Line2D(
                [],
                [],
                ls="none",
                marker=ENGINE_MARKERS.get(name, "o"),
                color=ENGINE_COLOURS.get(name, BLACK),
                label=name,
            )
            for name in engines
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        figure.canvas.draw()  # the slope on the page is known once it is laid out
        x, y = axes.transData.transform([(1.0, bandwidth), (10.0, 10.0 * bandwidth)]).T
        name.set_rotation(math.degrees(math.atan2(y[1] - y[0], x[1] - x[0])))
        return to_svg(figure, titles)


def _point(record: Record) -> tuple[float, float]:
    flops, moved = record.flops or 0.0, record.bytes_moved or 1.0
    return flops / moved, flops / record.median_seconds / 1e9


def _title(record: Record) -> str:
    percent = (
        ""
        if record.percent_of_ceiling is None
        else f", {in_percent(record.percent_of_ceiling)} of {record.ceiling_of}"
    )
    cache = f", {record.cache}" if record.cache else ""
    return f"{record.group}: {way(record)}{cache}, {in_words(record.median_seconds)}{percent}"


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


def memory(document: BenchDocument) -> bytes | None:
    """Extra memory of the suite "memory" in percent of X, the most first; None where nothing was measured."""
    records = [record for record in document.records if record.suite == "memory"]
    shares = {record.name: share for record in records if (share := share_of_X(record)) is not None}
    if not shares:
        return None
    known = [record for record in records if record.name in shares]
    shown = sorted(known, key=lambda record: -shares[record.name])[:MOST_BARS]
    with rc_context(STYLE):
        figure = new_figure(1.0 + 0.34 * len(shown))
        axes = figure.add_subplot()
        for level, record in enumerate(shown):
            share = shares[record.name]
            axes.barh(level, share, 0.62, color=ENGINE_COLOURS.get(record.engine, BLACK))
            axes.annotate(
                in_percent(share),
                (share, level),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9.5,
            )
        axes.set_yticks(
            range(len(shown)), [f"{way(record)}\n{record.group}" for record in shown], fontsize=8.5
        )
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(0.0, 1.18 * max(shares.values()) or 1.0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda value, _: f"{short_count(value)} %")
        axes.set_xlabel("extra memory at the peak, percent of X")
        return to_svg(figure)
