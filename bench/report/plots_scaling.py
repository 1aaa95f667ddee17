"""Scaling: how a time grows with rows and columns, and what more threads gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accel_logreg.measure.axes import STYLE, Look, legend_below, log_axes, looks, new_figure
from accel_logreg.measure.clock import significant
from accel_logreg.measure.svg import to_svg
from bench.report.scaling import Curve
from bench.report.ways import faster

CAPTIONS = {
    "rows": "A line as steep as the grey ones takes twice as long for twice the rows; a flatter one still "
    "pays for the call itself. Bands: 95 % intervals of the medians.",
    "columns": "A line as steep as the grey ones takes twice as long for twice the columns. Bands: 95 % "
    "intervals of the medians.",
    "threads": "Grey: every thread gains as much as the first. What comes from memory cannot: there the "
    "bandwidth is shared. Bands: 95 % intervals of the ratio.",
}


def scaling(axis: str, curves: Sequence[Curve], ceilings: Mapping[str, float]) -> bytes:
    """One SVG for one axis: "rows", "columns" or "threads"."""
    with rc_context(STYLE):
        figure = new_figure(3.9 + 0.19 * len(curves))
        axes = figure.add_subplot()
        if axis == "threads":
            _threads(axes, curves)
        else:
            _times(axes, curves, axis)
        bandwidth = ceilings.get("read bandwidth")
        note = f"; memory reads {significant(bandwidth / 1e9)} GB/s" if bandwidth else ""
        axes.set_title(f"Over {axis}{note if axis == 'threads' else ''}")
        legend_below(figure, axes, 1)
        return to_svg(figure)


def _times(axes: Axes, curves: Sequence[Curve], axis: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for curve, (colour, marker, dash) in _looks(curves):
        sizes = [size for size, _ in curve.points]
        medians = [record.median_seconds for _, record in curve.points]
        axes.plot(sizes, medians, color=colour, marker=marker, ls=dash, ms=5, label=curve.name)
        known = [
            (size, *record.interval)
            for size, record in curve.points
            if record.interval[0] == record.interval[0]
        ]
        if known:
            at, low, high = zip(*known, strict=True)
            axes.fill_between(at, low, high, color=colour, alpha=0.22, lw=0)
    limits = axes.get_xlim(), axes.get_ylim()
    # Grey rays of slope one, through the end of every line.
    for curve in curves:
        size, record = curve.points[-1]
        left = limits[0][0]
        axes.plot(
            [left, size],
            [record.median_seconds * left / size, record.median_seconds],
            color="0.75",
            lw=0.8,
            zorder=1,
        )
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.set_xlabel(axis)
    axes.set_ylabel("median time of one call")
    log_axes(axes, x="counts", y="seconds")


def _threads(axes: Axes, curves: Sequence[Curve]) -> None:
    most = max(size for curve in curves for size, _ in curve.points)
    axes.plot([1, most], [1, most], color="0.75", lw=0.8, zorder=1)
    for curve, (colour, marker, dash) in _looks(curves):
        base = curve.points[0][1]
        sizes = [size for size, _ in curve.points]
        gains = [faster(record, base) for _, record in curve.points]
        axes.plot(
            sizes,
            [gain.value for gain in gains],
            color=colour,
            marker=marker,
            ls=dash,
            ms=5,
            label=curve.name,
        )
        known = [(size, gain.low, gain.high) for size, gain in zip(sizes, gains, strict=True) if gain.known]
        if known:
            at, low, high = zip(*known, strict=True)
            axes.fill_between(at, low, high, color=colour, alpha=0.22, lw=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("threads")
    axes.set_ylabel(f"times faster than on {'one' if curves[0].points[0][0] == 1 else 'the fewest'}")
    axes.set_ylim(0.0, None)


def _looks(curves: Sequence[Curve]) -> list[tuple[Curve, Look]]:
    return list(zip(curves, looks([curve.engine for curve in curves]), strict=True))
