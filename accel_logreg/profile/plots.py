"""The pictures of a profile: a roofline, and what one fit did when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from matplotlib import rc_context

from accel_logreg.measure.axes import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILION,
    legend_below,
    log_axes,
    new_figure,
)  # fmt: skip
from accel_logreg.measure.svg import to_svg
from accel_logreg.measure.words import in_bytes, in_flops, in_words
from accel_logreg.profile.record import COPIES, FIT, KERNELS, STAGES, Span
from accel_logreg.profile.result import (
    Profile,
    Sum,
    asked_in_fit,
    breakdown,
    copies,
    kernels,
    of,
    question_name,
    questions,
)
from accel_logreg.profile.rows import TAKE_ROWS

_COLOURS = {"float64": BLUE, "float32": VERMILION, "TF32": ORANGE, "int8": GREEN}
_LANE_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_MOST_KERNELS = 8  # lanes; the rest go together
_MARKERS = "osD^v<>PX*hd"


def roofline(profile: Profile) -> bytes:
    """Achieved flops per second against flops per byte of X, under the measured ceilings."""
    ceilings = profile.ceilings
    spans = (profile.spans_of_fit(), profile.prediction())
    sums = [one for part in spans for one in questions(part, ceilings) if one.flops and one.bytes]
    with rc_context(STYLE):
        figure = new_figure(5.6)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        for one, marker in zip(sums, cycle(_MARKERS)):
            percent = "" if one.percent is None else f" {one.percent:.0f} %"
            axes.plot(
                *_point(one), marker, ms=8, color=_COLOURS[one.arithmetic], mec="white", mew=0.8, zorder=3,
                label=f"{one.name}{percent}",
            )  # fmt: skip
        # The points and the corners at which the ceilings bend, with room around them.
        corners = [(rate / ceilings.bandwidth, rate / 1e9) for rate in ceilings.flops.values()]
        xs, ys = zip(*map(_point, sums), *corners, (1.0, ceilings.bandwidth / 1e9), strict=True)
        left, right = min(xs) / 5.0, max(xs) * 12.0
        bandwidth = ceilings.bandwidth / 1e9
        peak = max((rate / 1e9 for rate in ceilings.flops.values()), default=bandwidth * right)
        axes.plot(
            [left, peak / bandwidth], [left * bandwidth, peak], color=BLACK, lw=1.8,
            label=f"memory: {in_bytes(ceilings.bandwidth)}/s",
        )  # fmt: skip
        for name, rate in ceilings.flops.items():
            level = rate / 1e9
            axes.plot(
                [level / bandwidth, right], [level, level], color=_COLOURS[name], lw=1.8,
                label=f"{name}: {in_flops(rate)}/s",
            )  # fmt: skip
        axes.set_xlim(left, right)
        axes.set_ylim(min(ys) / 6.0, max(ys) * 3.0)
        axes.set_xlabel("flops per byte of X (log scale)")
        axes.set_ylabel("GFLOP/s (log scale)")
        best = max((one.percent or 0.0 for one in sums), default=0.0)
        axes.set_title(
            f"{profile.engine}, {profile.n_rows:,} × {profile.n_features:,} {profile.dtype}:\n"
            f"the best question reaches {best:.0f} % of its ceiling"
        )
        log_axes(axes, x="rates", y="rates")
        legend_below(figure, axes)
        return to_svg(figure)


def _point(one: Sum) -> tuple[float, float]:
    return one.flops / one.bytes, one.flops_per_second / 1e9


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
