"""Speed-up against size: a line a way, a band for what the samples leave open, and the crossings."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes

from accel_logreg.lesson.speedups import Crossing, Timed
from accel_logreg.measure.axes import BLACK, STYLE, legend_below, log_axes, looks, new_figure
from accel_logreg.measure.svg import to_svg


def speed_up(
    title: str, unit: str, base: Timed, ways: Sequence[Timed], crossed: Sequence[Crossing] = ()
) -> bytes:
    """Times faster than ``base``, at the sizes where that ran, log-log, as SVG."""
    with rc_context(STYLE):
        figure = new_figure(4.6)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        colours = {}
        for way, (colour, marker, dash) in zip(ways, looks([way.engine for way in ways]), strict=True):
            ratios = way.over(base)
            colours[way.name] = colour
            sizes = list(ratios)
            axes.plot(
                sizes, [ratio.value for ratio in ratios.values()], color=colour, marker=marker, ls=dash, ms=5,
                label=way.name,
            )  # fmt: skip
            known = {size: ratio for size, ratio in ratios.items() if ratio.known}
            axes.fill_between(
                list(known), [one.low for one in known.values()], [one.high for one in known.values()],
                color=colour, alpha=0.22, lw=0,
            )  # fmt: skip
        axes.axhline(1.0, color="0.5", lw=0.8, zorder=1)
        _mark(axes, crossed, colours)
        axes.set_xlabel(unit)
        axes.set_ylabel(f"times faster than\n{base.name}")
        axes.set_title(title)
        log_axes(axes, x="counts", y="rates")
        legend_below(figure, axes)
        return to_svg(figure)


def _mark(axes: Axes, crossed: Sequence[Crossing], colours: dict[str, str]) -> None:
    """A bar between the two sizes of each crossing, along the foot of the picture."""
    for level, one in enumerate(crossed):
        axes.plot(
            [one.below, one.above], [0.02 + 0.035 * level] * 2, transform=axes.get_xaxis_transform(),
            color=colours.get(one.name, BLACK), lw=3.5, solid_capstyle="butt", alpha=0.9,
        )  # fmt: skip
    if crossed:
        low, high = axes.get_ylim()
        axes.set_ylim(low / (high / low) ** (0.04 * len(crossed)), high)
