"""The pictures of a profile: a roofline, and what one fit did when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from matplotlib.figure import Figure

from accel_logreg.measure import pictures
from accel_logreg.measure.pictures import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from accel_logreg.measure.words import in_bytes, in_flops, in_words
from accel_logreg.profile import result
from accel_logreg.profile.record import COPIES, FIT, KERNELS, PIECES, STAGES, TAKE_ROWS, Span
from accel_logreg.profile.result import Profile, Sum, of, on

_COLOURS = {"float64": BLUE, "float32": VERMILION, "TF32": ORANGE, "int8": GREEN}
_LANE_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_MOST_KERNELS = 8  # lanes; the rest go together
_MARKERS = "osD^v<>PX*hd"


@pictures.drawn
def roofline(profile: Profile) -> Figure:
    """Achieved flops per second against flops per byte of X, under the measured ceilings."""
    ceilings = profile.ceilings
    spans = (profile.spans_of_fit(), profile.prediction())
    sums = [one for part in spans for one in result.questions(part, ceilings) if one.flops and one.bytes]
    best = max((one.percent or 0.0 for one in sums), default=0.0)
    title = (
        f"{profile.engine}, {profile.n_rows:,} × {profile.n_features:,} {profile.dtype}:\n"
        f"the best question reaches {best:.0f} % of its ceiling"
    )
    words = {"xlabel": "flops per byte of X (log scale)", "ylabel": "GFLOP/s (log scale)", "title": title}
    figure, axes = pictures.new_axes(5.6, log=True, **words)
    for one, marker in zip(sums, cycle(_MARKERS)):
        percent = "" if one.percent is None else f" {one.percent:.0f} %"
        axes.plot(
            *_point(one), marker, ms=8, color=_COLOURS[one.arithmetic], mec="white", mew=0.8, zorder=3,
            label=f"{one.name}{percent}",
        )  # fmt: skip
    # The points and the corners at which the ceilings bend, with room around them.
    bandwidth = ceilings.bandwidth / 1e9
    levels = {name: rate / 1e9 for name, rate in ceilings.flops.items()}
    corners = [(level / bandwidth, level) for level in levels.values()]
    xs, ys = zip(*map(_point, sums), *corners, (1.0, bandwidth), strict=True)
    left, right = min(xs) / 5.0, max(xs) * 12.0
    peak = max(levels.values(), default=bandwidth * right)
    memory = f"memory: {in_bytes(ceilings.bandwidth)}/s"
    axes.plot([left, peak / bandwidth], [left * bandwidth, peak], color=BLACK, lw=1.8, label=memory)
    for name, level in levels.items():
        label = f"{name}: {in_flops(ceilings.flops[name])}/s"
        axes.plot([level / bandwidth, right], [level, level], color=_COLOURS[name], lw=1.8, label=label)
    axes.set(xlim=(left, right), ylim=(min(ys) / 6.0, max(ys) * 3.0))
    pictures.log_axes(axes, x="rates", y="rates")
    pictures.legend_below(figure, axes)
    return figure


def _point(one: Sum) -> tuple[float, float]:
    return one.flops / one.bytes, one.flops_per_second / 1e9


@pictures.drawn
def timeline(profile: Profile) -> Figure:
    """One fit from left to right, a lane for each kind of work, with its total at the right."""
    (fit,) = of(profile.spans_of_fit(), STAGES, FIT)
    lanes = _lanes(profile, fit)
    unit, size = ("ms", 1e3) if fit.seconds < 1.0 else ("s", 1.0)
    length = size * fit.seconds
    figure, axes = pictures.new_axes(
        1.3 + 0.36 * len(lanes),
        xlabel=f"time since the call of fit ({unit})",
        title=f"One fit on {profile.engine}: {in_words(fit.seconds)}, {profile.reads:.1f} reads of X",
    )
    for level, (_, colour, bars) in enumerate(lanes):
        # A thousandth of the picture at least: what is there is seen.
        shown = [(size * (start - fit.start), max(size * seconds, 1e-3 * length)) for start, seconds in bars]
        axes.broken_barh(shown, (level - 0.36, 0.72), color=colour)
        total = sum(seconds for _, seconds in bars)
        pictures.write_at_the_right(axes, level, f"{in_words(total)}, {total / fit.seconds:.0%}")
    axes.set_yticks(range(len(lanes)), [name for name, *_ in lanes])
    axes.set(xlim=(0.0, length), ylim=(len(lanes) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    return figure


_Bars = list[tuple[float, float]]  # start, seconds


def _lanes(profile: Profile, fit: Span) -> list[tuple[str, str, _Bars]]:
    """Name, colour and bars; the lanes of the host first."""
    spans = profile.spans_of_fit()
    (taking,) = of(spans, STAGES, TAKE_ROWS)
    asked = result.asked_in_fit(spans)
    lanes: list[tuple[str, str, _Bars]] = [
        ("check", "0.45", [(fit.start, taking.start - fit.start)]),
        ("take rows", "0.25", _bars([taking])),
        ("solver, host", "0.65", _gaps(taking.end, fit.end, asked)),
    ]
    for one, colour in zip(result.questions(spans, profile.ceilings), cycle(_LANE_COLOURS)):
        lanes.append((one.name, colour, _bars([span for span in asked if span.kind == one.name])))
    launched = result.kernels(spans)
    lanes += [(one.name, BLACK, _bars(of(spans, KERNELS, one.name))) for one in launched[:_MOST_KERNELS]]
    others = {one.name for one in launched[_MOST_KERNELS:]}
    if others:
        rest = [span for span in on(spans, KERNELS) if span.name in others]
        lanes.append((f"{len(others)} more kernels", BLACK, _bars(rest)))
    for one in result.copies(spans):
        mine = [span for span in on(spans, COPIES, PIECES) if span.name == one.name]
        lanes.append((one.name, SKY, _bars(mine)))
    return lanes


def _bars(spans: Sequence[Span]) -> _Bars:
    return [(span.start, span.seconds) for span in spans]


def _gaps(start: float, end: float, spans: Sequence[Span]) -> _Bars:
    """What the spans, in order, leave of the time from start to end."""
    gaps = []
    for span in spans:
        gaps.append((start, max(0.0, span.start - start)))
        start = max(start, span.end)
    gaps.append((start, max(0.0, end - start)))
    return gaps
