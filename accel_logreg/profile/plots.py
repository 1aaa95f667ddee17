"""The pictures of a profile: a roofline, and what one fit did when."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from accel_logreg.measure.axes import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, new_figure
from accel_logreg.measure.svg import to_svg
from accel_logreg.measure.words import in_words, significant
from accel_logreg.profile.record import COPIES, KERNELS, STAGES, Span
from accel_logreg.profile.result import Profile
from accel_logreg.profile.rows import TAKE_ROWS
from accel_logreg.profile.summary import (
    FIT,
    Sum,
    asked_in_fit,
    breakdown,
    copies,
    kernels,
    of,
    question_name,
    questions,
)

_COLOURS = {"float64": BLUE, "float32": VERMILION, "TF32": ORANGE, "int8": GREEN}
_LANE_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_MOST_KERNELS = 8  # lanes; the rest go together
# Where a label may stand, in points from its dot: near first, then farther with a line to it.
_PLACES = tuple(
    (dx * far, dy * far) for far in (9, 22, 38, 58, 80) for dx, dy in
    ((1, 0), (0, 1), (0, -1), (-1, 0), (1, 0.8), (1, -0.8), (-1, 0.8), (-1, -0.8))
)  # fmt: skip


def roofline(profile: Profile) -> bytes:
    """Achieved flops per second against flops per byte of X, under the measured ceilings."""
    sums = [one for one in questions(profile.spans_of_fit(), profile.ceilings) if one.flops and one.bytes]
    sums += [one for one in questions(profile.prediction(), profile.ceilings) if one.flops and one.bytes]
    with rc_context(STYLE):
        figure = new_figure(5.6)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        _limits(axes, profile, sums)
        names = _ceilings(axes, profile)
        for one in sums:
            x, y = _point(one)
            axes.plot(x, y, "o", ms=8, color=_COLOURS[one.arithmetic], mec="white", mew=0.8, zorder=3)
        axes.set_xlabel("flops per byte of X (log scale)")
        axes.set_ylabel("GFLOP/s (log scale)")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1.0 else f"{value:g}")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        best = max((one.percent or 0.0 for one in sums), default=0.0)
        axes.set_title(
            f"{profile.engine}, {profile.n_rows:,} × {profile.n_features:,} {profile.dtype}:\n"
            f"the best question reaches {best:.0f} % of its ceiling"
        )
        figure.canvas.draw()
        _turn_along(axes, names[-1], profile.ceilings.bandwidth / 1e9)
        _move_apart(axes, names[:-1])
        place_labels(axes, sums, names)
        return to_svg(figure)


def _point(one: Sum) -> tuple[float, float]:
    return one.flops / one.bytes, one.flops_per_second / 1e9


def _limits(axes: Axes, profile: Profile, sums: Sequence[Sum]) -> None:
    """The points, and the corners at which each ceiling bends, with room for labels."""
    ceilings = profile.ceilings
    corners = [(rate / ceilings.bandwidth, rate / 1e9) for rate in ceilings.flops.values()]
    points = [*map(_point, sums), *corners] or [(1.0, ceilings.bandwidth / 1e9)]
    xs, ys = zip(*points, strict=True)
    axes.set_xlim(min(xs) / 5.0, max(xs) * 12.0)
    axes.set_ylim(min(ys) / 6.0, max(ys) * 3.0)


def _ceilings(axes: Axes, profile: Profile) -> list[Annotation]:
    """Draw the lines, name each, and return the names, the memory's last."""
    ceilings = profile.ceilings
    left, right = axes.get_xlim()
    bottom = axes.get_ylim()[0]
    bandwidth = ceilings.bandwidth / 1e9
    peak = max((rate / 1e9 for rate in ceilings.flops.values()), default=bandwidth * right)
    axes.plot([left, peak / bandwidth], [left * bandwidth, peak], color=BLACK, lw=1.8)
    names: list[Annotation] = []
    for name, rate in ceilings.flops.items():
        level = rate / 1e9
        axes.plot([level / bandwidth, right], [level, level], color=_COLOURS[name], lw=1.8)
        text = f"{name}: {significant(level)} GFLOP/s"
        names.append(
            axes.annotate(
                text, (right, level), (-2, 3), textcoords="offset points", ha="right", color=_COLOURS[name]
            )
        )
    start = max(left, bottom / bandwidth) * 1.3
    names.append(
        axes.annotate(
            f"memory: {significant(bandwidth)} GB/s",
            (start, start * bandwidth),
            (-3, 6),
            textcoords="offset points",
            rotation_mode="anchor",
        )
    )
    return names


def _move_apart(axes: Axes, names: Sequence[Annotation]) -> None:
    """Where ceilings are of nearly the same height: a name below its line, or farther to the left."""
    heights = [axes.transData.transform(name.xy)[1] for name in names]
    frame = axes.get_window_extent()
    lines = [Bbox.from_extents(frame.x0, y - 2, frame.x1, y + 2) for y in heights]
    kept: list[Bbox] = []
    for index in sorted(range(len(names)), key=lambda index: -heights[index]):  # the highest stays above
        others = lines[:index] + lines[index + 1 :]
        for place in ((-2, 3), (-2, -15), (-200, 3), (-200, -15)):
            names[index].set_position(place)
            box = names[index].get_window_extent()
            if not any(box.overlaps(other) for other in (*kept, *others)):
                break
        kept.append(box)


def _turn_along(axes: Axes, name: Annotation, bandwidth: float) -> None:
    """Turn a name to run along the memory's line, whose slope on the page is known once it is laid out."""
    x, y = axes.transData.transform([(1.0, bandwidth), (10.0, 10.0 * bandwidth)]).T
    name.set_rotation(math.degrees(math.atan2(y[1] - y[0], x[1] - x[0])))


def place_labels(axes: Axes, sums: Sequence[Sum], taken: Sequence[Annotation]) -> list[Annotation]:
    """Name every dot where nothing else stands; a name that stands away gets a line to its dot.

    The dots and ``taken`` are kept free; the figure must have been drawn, so that sizes are known.
    """
    dots = [axes.transData.transform(_point(one)) for one in sums]
    kept = [Bbox.from_bounds(x - 10, y - 10, 20, 20) for x, y in dots]
    kept += [artist.get_window_extent() for artist in taken]
    frame = axes.get_window_extent()
    labels = []
    for one in sorted(sums, key=lambda one: -one.total):
        percent = "" if one.percent is None else f" {one.percent:.0f} %"
        label = axes.annotate(
            f"{one.name}{percent}",
            _point(one),
            _PLACES[0],
            textcoords="offset points",
            fontsize=9.5,
            va="center",
            zorder=4,
        )
        labels.append(label)
        for dx, dy in _PLACES:
            label.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
            label.set_position((dx, dy))
            box = label.get_window_extent().padded(2.0)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in kept):
                break
        kept.append(label.get_window_extent().padded(2.0))
        if max(map(abs, label.get_position())) > 15:
            _line_to_dot(axes, one, label)
    return labels


def _line_to_dot(axes: Axes, one: Sum, label: Annotation) -> None:
    axes.annotate(
        "", _point(one), label.get_position(), textcoords="offset points",
        arrowprops={"arrowstyle": "-", "color": "0.4", "lw": 0.7, "shrinkB": 4}, zorder=2,
    )  # fmt: skip


def timeline(profile: Profile) -> bytes:
    """One fit from left to right, a lane for each kind of work, with its total at the right."""
    spans = profile.spans_of_fit()
    (fit,) = of(spans, STAGES, FIT)
    parts = breakdown(spans)
    lanes = _lanes(profile, spans, fit)
    with rc_context(STYLE):
        figure = new_figure(1.3 + 0.36 * len(lanes))
        axes = figure.add_subplot()
        unit, size = ("ms", 1e3) if parts.fit < 1.0 else ("s", 1.0)
        length = size * parts.fit
        for level, (_, colour, bars, total) in enumerate(lanes):
            # A thousandth of the picture at least: what is there is seen.
            drawn = [
                (size * (start - fit.start), max(size * seconds, 1e-3 * length)) for start, seconds in bars
            ]
            axes.broken_barh(drawn, (level - 0.36, 0.72), color=colour)
            text = f"{in_words(total)}, {total / parts.fit:.0%}"
            axes.annotate(text, (1.01, level), xycoords=("axes fraction", "data"), va="center", fontsize=9.5)
        axes.set_yticks(range(len(lanes)), [name for name, *_ in lanes])
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.set_xlim(0.0, length)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"time since the call of fit ({unit})")
        axes.set_title(f"One fit on {profile.engine}: {in_words(parts.fit)}, {profile.reads:.1f} reads of X")
        return to_svg(figure)


_Lane = tuple[str, str, list[tuple[float, float]], float]


def _lanes(profile: Profile, spans: Sequence[Span], fit: Span) -> list[_Lane]:
    """Name, colour, (start, seconds) of its bars, and their total; the lanes of the host first."""
    (taking,) = of(spans, STAGES, TAKE_ROWS)
    asked = asked_in_fit(spans)
    solver = _gaps(taking.end, fit.end, asked)
    lanes: list[_Lane] = [
        ("check", "0.45", [(fit.start, taking.start - fit.start)], taking.start - fit.start),
        ("take rows", "0.25", [(taking.start, taking.seconds)], taking.seconds),
        ("solver, host", "0.65", solver, sum(seconds for _, seconds in solver)),
    ]
    for index, one in enumerate(questions(spans, profile.ceilings)):
        mine = [(span.start, span.seconds) for span in asked if question_name(span) == one.name]
        lanes.append((one.name, _LANE_COLOURS[index % len(_LANE_COLOURS)], mine, one.total))
    launched = kernels(spans)
    lanes += [
        (one.name, BLACK, _bars(spans, KERNELS, {one.name}), one.total) for one in launched[:_MOST_KERNELS]
    ]
    others = {one.name for one in launched[_MOST_KERNELS:]}
    if others:
        rest = _bars(spans, KERNELS, others)
        lanes.append((f"{len(others)} more kernels", BLACK, rest, sum(seconds for _, seconds in rest)))
    lanes += [(one.name, SKY, _bars(spans, COPIES, {one.name}), one.total) for one in copies(spans)]
    return lanes


def _bars(spans: Sequence[Span], track: str, names: set[str]) -> list[tuple[float, float]]:
    return [(span.start, span.seconds) for span in spans if span.track == track and span.name in names]


def _gaps(start: float, end: float, spans: Sequence[Span]) -> list[tuple[float, float]]:
    """What the spans, in order, leave of the time from start to end: (start, seconds)."""
    gaps = []
    for span in spans:
        gaps.append((start, max(0.0, span.start - start)))
        start = max(start, span.end)
    gaps.append((start, max(0.0, end - start)))
    return gaps
