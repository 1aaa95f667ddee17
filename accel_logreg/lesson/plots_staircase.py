"""From the loop to the GPU, a step at a time: how long each takes, and what each step gains."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes

from accel_logreg.measure.axes import BLACK, ENGINE_COLOURS, STYLE, log_axes, new_figure
from accel_logreg.measure.intervals import Interval
from accel_logreg.measure.svg import to_svg
from accel_logreg.measure.words import in_words, significant

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
