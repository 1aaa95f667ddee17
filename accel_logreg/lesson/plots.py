"""The curves of the speed-up report, each an SVG in bytes.

Figures are drawn through Matplotlib's Figure alone: no pyplot, so no global state and no display. Colours
are those of Okabe and Ito, which stay apart for colour-blind eyes; lines also differ in dash and marker.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from accel_logreg.lesson.descent import DescentStudy
from accel_logreg.lesson.dot import LESSON_SECONDS, LESSON_SIZE, NUMPY, DotStudy
from accel_logreg.lesson.speedups import Crossing, Timed
from accel_logreg.measure.axes import BLACK, ENGINE_COLOURS, STYLE, legend_below, log_axes, looks, new_figure
from accel_logreg.measure.intervals import Interval, median_interval
from accel_logreg.measure.svg import to_svg
from accel_logreg.measure.words import in_words, significant


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


_SHORT = 30  # characters of a reason that fits into the picture; a longer one stands below it
_ROOM = 0.2  # of the decades, to the left and to the right
_LABEL = 0.2  # of the width: what a label on a tread needs
_BESIDE = 0.3  # of the width: what one beside it needs


@dataclass(frozen=True)
class Step:
    """One way, in the order from the slowest idea to the fastest.

    seconds : Interval or None
        The median of its rounds; None where it was not measured, and ``reason`` then says why.
    """

    name: str
    engine: str
    seconds: Interval | None
    reason: str = ""


def staircase(title: str, steps: Sequence[Step]) -> bytes:
    """An SVG; at least one step must have been measured."""
    measured = [step.seconds.value for step in steps if step.seconds is not None]
    if not measured:
        raise ValueError("no step of the staircase was measured; leave the picture out")
    with rc_context(STYLE):
        figure = new_figure(1.25 + 0.56 * len(steps))
        axes = figure.add_subplot()
        axes.set_xscale("log")
        low, high = min(measured), max(measured)
        room = max(0.5, _ROOM * math.log10(high / low))
        axes.set_xlim(low / 10.0**room, high * 10.0**room)
        axes.set_ylim(len(steps) - 0.35, -0.75)
        axes.set_yticks(range(len(steps)), [_name(step) for step in steps])
        axes.tick_params(axis="y", length=0)
        _draw(axes, steps)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("median time of one call, log scale")
        axes.set_title(title)
        log_axes(axes, x="seconds")
        return to_svg(figure)


def _name(step: Step) -> str:
    name = textwrap.fill(step.name, 20)
    return name if step.seconds is None else f"{name}\n{in_words(step.seconds.value)}"


def _draw(axes: Axes, steps: Sequence[Step]) -> None:
    first = next(step.seconds.value for step in steps if step.seconds is not None)
    above: tuple[int, float] | None = None
    _at_the_right(axes, -0.62, "in all", "0.4")
    for level, step in enumerate(steps):
        colour = ENGINE_COLOURS.get(step.engine, BLACK)
        if step.seconds is None:
            axes.annotate(
                f"not measured here: {step.reason}" if len(step.reason) < _SHORT else "not measured here",
                (0.02, level), xycoords=("axes fraction", "data"), va="center", color="0.4", fontsize=9,
            )  # fmt: skip
            continue
        now = step.seconds.value
        if above is not None:
            _tread(axes, above, (level, now))
            _at_the_right(axes, level, f"{significant(first / now)}×", BLACK)
        if step.seconds.known:
            axes.plot([step.seconds.low, step.seconds.high], [level, level], color=colour, lw=5, alpha=0.45)
        axes.plot(now, level, "o", ms=9, color=colour, zorder=3)
        above = level, now


def _at_the_right(axes: Axes, level: float, words: str, colour: str) -> None:
    axes.annotate(
        words, (1.01, level), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=9.5
    )


def _tread(axes: Axes, above: tuple[int, float], here: tuple[int, float]) -> None:
    """Down from the step above, then across to this one, with the factor on it."""
    (upper, before), (level, now) = above, here
    axes.plot([before, before, now], [upper, level, level], color="0.5", lw=1.2, zorder=1)
    factor = before / now
    words = f"{significant(factor)}×" if factor >= 1.0 else f"{significant(1.0 / factor)}× slower"
    width = abs(math.log(factor)) / math.log(_span(axes))
    if width > _LABEL:
        place, offset, side = math.sqrt(before * now), 0, "center"
    elif math.log(min(before, now) / axes.get_xlim()[0]) > _BESIDE * math.log(_span(axes)):
        # Too short for its label, which then stands to the left of it, clear of the way down.
        place, offset, side = min(before, now), -8, "right"
    else:  # or to the right of it, where the names of the steps are near
        place, offset, side = max(before, now), 8, "left"
    axes.annotate(
        words, (place, level), (offset, 9), textcoords="offset points", ha=side, va="center",
        fontweight="bold", fontsize=9.5, color=BLACK,
    )  # fmt: skip


def _span(axes: Axes) -> float:
    """The largest time of the axis over the smallest."""
    low, high = axes.get_xlim()
    return float(high / low)


# For curves that lie on top of each other: wide and solid below, narrow and broken above.
LAYERS = ((6.0, "-"), (3.5, (0, (6, 2))), (2.2, (0, (2, 2))), (1.2, (0, (1, 3))))


def dot_time(study: DotStudy) -> bytes:
    """Seconds per call against the length of the vectors, with the lesson's two figures."""
    with rc_context(STYLE):
        figure = new_figure(4.8)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        for version, (colour, marker, dash) in zip(
            study.versions(), looks([study.engine(version) for version in study.versions()]), strict=True
        ):
            seconds = study.seconds(version)
            axes.plot(
                list(seconds), list(seconds.values()), color=colour, marker=marker, ls=dash, ms=5,
                label=version,
            )  # fmt: skip
        for name, value in LESSON_SECONDS.items():
            axes.plot(LESSON_SIZE, value, marker="*", ms=12, mfc="none", mec="0.25", ls="none")
            axes.annotate(
                f"lesson: {name}", (LESSON_SIZE, value), (-9, 5), textcoords="offset points", ha="right",
                color="0.25", fontsize=9.5,
            )  # fmt: skip
        axes.set_xlabel("length of the vectors (float64 numbers)")
        axes.set_ylabel("median time of one call")
        axes.set_title("Dot product: time of one call" + _times_in_title(study))
        log_axes(axes, x="counts", y="seconds")
        legend_below(figure, axes)
        return to_svg(figure)


def dot_speed_up(study: DotStudy) -> bytes:
    """How many times faster than the lesson's loop, at the sizes where that ran, and how sure that is."""
    ways = study.timed()
    return speed_up(
        _speed_up_title(study), "length of the vectors (float64 numbers)", ways[0], ways, study.crossings()
    )


def dot_staircase(study: DotStudy, absent: dict[str, str]) -> bytes:
    """From the loop over arrays to the GPU, at the length that the headlines speak of.

    absent : engine → the reason why it was not measured.
    """
    size = study.headline_size()
    points = {point.version: point for point in study.points if point.size == size}
    steps = [
        Step(version, study.engine(version), median_interval(points[version].samples))
        if version in points
        else Step(version, study.engine(version), None, study.stopped.get(version, "not run at this length"))
        for version in study.versions()
    ]
    steps += [Step(engine, engine, None, reason) for engine, reason in absent.items()]
    return staircase(f"One dot product of {size:,} numbers, from the loop on", steps)


def step_time(studies: Sequence[tuple[str, DescentStudy]]) -> bytes:
    """A staircase of times per step, one panel a table: small dots are rounds, the large one their median."""
    with rc_context(STYLE):
        lines = [len(study.runs) for _, study in studies]
        figure = _apart(new_figure(1.15 * len(studies) + 0.46 * sum(lines)))
        panels = figure.subplots(len(studies), squeeze=False, height_ratios=[n + 0.6 for n in lines])[:, 0]
        for axes, (title, study) in zip(panels, studies, strict=True):
            _steps(axes, title, study)
        return to_svg(figure)


def cost_curves(studies: Sequence[tuple[str, DescentStudy]]) -> bytes:
    """Every engine's cost before every step: curves on top of each other, so the lower ones are wider."""
    with rc_context(STYLE):
        figure = _apart(new_figure(3.1 * len(studies)))
        for axes, (title, study) in zip(
            figure.subplots(len(studies), squeeze=False)[:, 0], studies, strict=True
        ):
            for run, (width, dash) in zip(study.runs, LAYERS, strict=False):
                axes.plot(run.costs, color=ENGINE_COLOURS[run.engine], lw=width, ls=dash, label=run.engine)
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_ylabel("cost J (nats per crop)")
            difference = (
                f": costs agree to {study.largest_difference:.0e} relative" if len(study.runs) > 1 else ""
            )
            axes.set_title(f"{title}{difference}", fontsize=10.5)
            axes.legend(loc="upper right")
        return to_svg(figure)


def _apart(figure: Figure) -> Figure:
    """Panels with room between one's words below and the next one's above."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(hspace=0.09)
    return figure


def _steps(axes: Axes, title: str, study: DescentStudy) -> None:
    fastest = min(min(run.samples) for run in study.runs)
    slowest = max(max(run.samples) for run in study.runs)
    middle = math.sqrt(fastest * slowest)
    for level, run in enumerate(study.runs):
        colour = ENGINE_COLOURS[run.engine]
        axes.plot(run.samples, [level] * len(run.samples), "o", ms=4, color=colour, alpha=0.45)
        axes.plot(run.step_seconds, level, "o", ms=9, color=colour)
        text = in_words(run.step_seconds)
        if run is not study.runs[0]:
            text += f": {significant(study.speed_up(run))} times faster than {study.runs[0].engine}"
        # Words grow towards the middle of the panel, so that they never leave it.
        side = "left" if run.step_seconds < middle else "right"
        place = (-6 if side == "left" else 6, 9)
        axes.annotate(
            text, (run.step_seconds, level), place, textcoords="offset points", ha=side, fontsize=9.5
        )
    axes.set_xscale("log")
    margin = max(4.0, (slowest / fastest) ** 0.2)
    axes.set_xlim(fastest / margin, slowest * margin)
    axes.set_ylim(len(study.runs) - 0.6, -0.75)
    axes.set_yticks(range(len(study.runs)), [run.engine for run in study.runs])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("time of one step of gradient descent, log scale")
    axes.set_title(title)
    log_axes(axes, x="seconds")


def _speed_up_title(study: DotStudy) -> str:
    size = study.headline_size()
    base = study.seconds(study.baseline())[size]
    ratios = {
        version: base / study.seconds(version)[size]
        for version in study.versions()
        if size in study.seconds(version)
    }
    best = max(ratios, key=lambda version: ratios[version])
    if best == study.baseline():
        return f"At {size:,} numbers nothing measured is faster\nthan the {best}"
    return (
        f"At {size:,} numbers {best} is\n{significant(ratios[best])} times faster than the {study.baseline()}"
    )


def _times_in_title(study: DotStudy) -> str:
    size, baseline = study.headline_size(), study.baseline()
    times = {version: study.seconds(version).get(size) for version in (baseline, NUMPY)}
    words = [f"{in_words(seconds)} by {version}" for version, seconds in times.items() if seconds is not None]
    return f"\n{size:,} numbers: " + ", ".join(words)
