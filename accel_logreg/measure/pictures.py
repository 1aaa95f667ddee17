"""Pictures as SVG that follows the reader's light or dark theme: one style, axes whose ticks are words.

Drawn through Matplotlib's Figure alone: no pyplot, so no global state and no display. Colours are those of
Okabe and Ito, which stay apart for colour-blind eyes. In the file they become variables of plots.css, and
words stay words; a picture is whole as a file of its own, with those variables inside, and goes into a page
without them.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from html import escape
from importlib.resources import files
from io import BytesIO
from typing import Any, ParamSpec

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator

from accel_logreg.measure.intervals import Crossing, Interval, Timed
from accel_logreg.measure.words import in_words, significant

P = ParamSpec("P")

WIDTH = 6.0  # inches; text of 10.5 points is 8 pixels high when a phone shows the picture 330 pixels wide
STYLE: dict[Any, Any] = {
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.45,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
}
_SAVED: dict[Any, Any] = {
    "svg.hashsalt": "accel_logreg", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]
}  # fmt: skip
_PHOTOGRAPH_DPI = 120
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
# As variables that a dark page makes lighter.
_VARIABLES = {
    ORANGE: "orange", SKY: "sky", GREEN: "green", BLUE: "blue", VERMILION: "vermilion", PURPLE: "purple"
}  # fmt: skip
# A look per line, the engine's colours first; lines of one engine differ in colour, dash and marker.
_LOOKS = {
    "python": ((VERMILION, "o", "-"), (ORANGE, "s", "--"), (BLACK, "D", ":")),
    "numpy": ((BLUE, "v", "-"), (BLACK, "x", "--")),
    "numba": ((GREEN, "^", "-"), (SKY, "P", "--"), (ORANGE, "h", ":"), (BLACK, "*", "-.")),
    "cupy": ((PURPLE, "X", "-"), (VERMILION, "d", "--"), (BLACK, "1", ":")),
}
ENGINE_COLOURS = {engine: looks[0][0] for engine, looks in _LOOKS.items()}
_MOST_TICKS = 7  # of a log axis; more would run into each other
_TICKS: dict[str, Any] = {
    "seconds": EngFormatter("s"),
    "counts": EngFormatter(sep=""),
    "rates": lambda value, _: f"{value:,.0f}" if value >= 1.0 else f"{value:g}",
    "gaps": lambda value, _: f"{value:.0e}".replace("e-0", "e-"),
}


def drawn(draw: Callable[P, Figure]) -> Callable[P, bytes]:
    """A function that draws a figure becomes one that gives its SVG, in the style of all pictures."""

    @wraps(draw)
    def svg(*args: P.args, **kwargs: P.kwargs) -> bytes:
        with rc_context(STYLE):
            return to_svg(draw(*args, **kwargs))

    return svg


def new_figure(height: float) -> Figure:
    """A figure of that many inches, which need not be shown."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_axes(height: float, *, log: bool = False, **words: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; ``words`` are its title, xlabel and ylabel."""
    figure = new_figure(height)
    scale = "log" if log else "linear"
    return figure, figure.add_subplot(xscale=scale, yscale=scale, **words)


def log_axes(axes: Axes, x: str | None = None, y: str | None = None) -> None:
    """Log scales with ticks in words: each of "seconds", "counts", "rates", "gaps" or None for a linear axis.

    Call it when all is drawn: the ticks depend on the limits.
    """
    for axis, (low, high), kind in ((axes.xaxis, axes.get_xlim(), x), (axes.yaxis, axes.get_ylim(), y)):
        if kind is None:
            continue
        # Less than two decades need ticks between the powers of ten.
        steps = (1.0, 2.0, 5.0) if math.log10(high / low) < 2.2 else (1.0,)
        ticks = [tick for tick in LogLocator(subs=steps).tick_values(low, high) if low <= tick <= high]
        axis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(_TICKS[kind])


def draw_lines(axes: Axes, lines: Sequence[tuple[str, str, Mapping[int, Interval]]]) -> dict[str, str]:
    """(name, engine, size → value) as lines, with bands where intervals are known; the colour by name."""
    counted = dict.fromkeys(_LOOKS, 0)
    colours = {}
    for name, engine, values in lines:
        engine = engine if engine in _LOOKS else "python"
        colour, marker, dash = _LOOKS[engine][counted[engine] % len(_LOOKS[engine])]
        counted[engine] += 1
        colours[name] = colour
        heights = [one.value for one in values.values()]
        axes.plot(list(values), heights, color=colour, marker=marker, ls=dash, ms=5, label=name)
        known = {size: one for size, one in values.items() if one.known}
        if known:
            low, high = zip(*((one.low, one.high) for one in known.values()), strict=True)
            axes.fill_between(list(known), low, high, color=colour, alpha=0.22, lw=0)
    return colours


def write_at_the_right(axes: Axes, level: float, words: str, colour: str = BLACK) -> None:
    """Beside the axes, at this height of theirs."""
    axes.annotate(
        words, (1.01, level), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=9.5
    )


def legend_below(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """Outside: curves over five decades leave no corner free at every machine's speeds."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


# ---- what more than one report shows ---------------------------------------------------------------------


@drawn
def speed_up(
    title: str, unit: str, base: Timed, ways: Sequence[Timed], crossed: Sequence[Crossing] = ()
) -> Figure:
    """Times faster than ``base``, at the sizes where that ran, log-log.

    A bar along the foot of the picture stands between the two sizes of each crossing.
    """
    figure, axes = new_axes(4.6, log=True, title=title, xlabel=unit, ylabel=f"times faster than\n{base.name}")
    colours = draw_lines(axes, [(way.name, way.engine, way.over(base)) for way in ways])
    axes.axhline(1.0, color="0.5", lw=0.8, zorder=1)
    for level, one in enumerate(crossed):
        axes.plot(
            [one.below, one.above], [0.02 + 0.035 * level] * 2, transform=axes.get_xaxis_transform(),
            color=colours.get(one.name, BLACK), lw=3.5, solid_capstyle="butt", alpha=0.9,
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(low / (high / low) ** (0.04 * len(crossed)), high)
    log_axes(axes, x="counts", y="rates")
    legend_below(figure, axes)
    return figure


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


@drawn
def staircase(title: str, steps: Sequence[Step]) -> Figure:
    """One step below the other, each with its factor; at least one must have been measured."""
    measured = [step.seconds.value for step in steps if step.seconds is not None]
    if not measured:
        raise ValueError("no step of the staircase was measured; leave the picture out")
    figure, axes = new_axes(
        1.25 + 0.56 * len(steps), title=title, xlabel="median time of one call, log scale"
    )
    low, high = min(measured), max(measured)
    room = 10.0 ** max(0.5, _ROOM * math.log10(high / low))
    names = [
        textwrap.fill(step.name, 20) + ("" if step.seconds is None else f"\n{in_words(step.seconds.value)}")
        for step in steps
    ]
    levels(axes, names, (low / room, high * room), -0.35)
    axes.tick_params(axis="y", length=0)
    write_at_the_right(axes, -0.62, "over the first", "0.4")
    above: tuple[int, float] | None = None
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
            write_at_the_right(axes, level, f"{significant(measured[0] / now)}×")
        if step.seconds.known:
            axes.plot([step.seconds.low, step.seconds.high], [level, level], color=colour, lw=5, alpha=0.45)
        axes.plot(now, level, "o", ms=9, color=colour, zorder=3)
        above = level, now
    log_axes(axes, x="seconds")
    return figure


def levels(axes: Axes, names: Sequence[str], limits: tuple[float, float], below: float) -> None:
    """A level for each name, the first on top, over times on a log scale; ``below`` moves the foot."""
    axes.set(xscale="log", xlim=limits, ylim=(len(names) + below, -0.75))
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")


def _tread(axes: Axes, above: tuple[int, float], here: tuple[int, float]) -> None:
    """Down from the step above, then across to this one, with the factor on it."""
    (upper, before), (level, now) = above, here
    axes.plot([before, before, now], [upper, level, level], color="0.5", lw=1.2, zorder=1)
    factor = before / now
    words = f"{significant(factor)}×" if factor >= 1.0 else f"{significant(1.0 / factor)}× slower"
    left, right = axes.get_xlim()
    width = math.log(right / left)
    if abs(math.log(factor)) > _LABEL * width:
        place, offset, side = math.sqrt(before * now), 0, "center"
    elif math.log(min(before, now) / left) > _BESIDE * width:
        # Too short for its label, which then stands to the left of it, clear of the way down.
        place, offset, side = min(before, now), -8, "right"
    else:  # or to the right of it, where the names of the steps are near
        place, offset, side = max(before, now), 8, "left"
    axes.annotate(
        words, (place, level), (offset, 9), textcoords="offset points", ha=side, va="center",
        fontweight="bold", fontsize=9.5, color=BLACK,
    )  # fmt: skip


# ---- as a file, and inside a page ------------------------------------------------------------------------


_GROUND = "svg.plot { background: var(--paper); }"  # a browser shows a file on white, in the dark as well


def to_svg(figure: Figure, titles: Mapping[str, str] | None = None) -> bytes:
    """The figure as a file of its own, on paper of its own; the same figure gives the same bytes.

    titles : gid of an artist → what a browser shows when the pointer rests on it.
    """
    buffer = BytesIO()
    with rc_context(_SAVED):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True, dpi=_PHOTOGRAPH_DPI)
    svg = buffer.getvalue().decode()
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<(\w+)[^>]*#[0-9a-f]{6}[^>]*>", _with_variables, svg).replace("xlink:href", "href")
    for gid, words in (titles or {}).items():
        svg = svg.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(words)}</title>', 1)
    svg = re.sub(r"\n\s*", "\n", svg[svg.index("<svg") :])
    return (
        svg.replace("<svg", '<svg class="plot"', 1)
        .replace(">", f"><style>{theme()}{_GROUND}</style>", 1)
        .encode()
    )


def inline(svg: bytes, name: str, title: str) -> str:
    """The element to put into a page that has the theme: ids made its own by ``name``, and a title."""
    text = re.sub(r"<style>.*?</style>", "", svg.decode(), count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    label = f"{name}-title"
    named = f'<title id="{label}">{escape(title)}</title>'
    return text.replace(">", f' role="img" aria-labelledby="{label}">{named}', 1)


@cache
def theme() -> str:
    """plots.css: the variables, for light and for dark."""
    return (files(__package__) / "plots.css").read_text(encoding="utf-8")


def _with_variables(tag: re.Match[str]) -> str:
    words = tag[1] in ("text", "tspan")
    return re.sub(r"#[0-9a-f]{6}\b(?=[;\"])", lambda colour: _variable(colour[0], words), tag[0])


def _variable(colour: str, words: bool) -> str:
    if colour.upper() in _VARIABLES:
        return f"var(--{_VARIABLES[colour.upper()]}{'-text' if words else ''})"
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    if not red == green == blue:
        return colour  # a colour scale's: the same in both themes
    if red <= 0x33:
        return "var(--ink)"
    if words or red <= 0x80:
        return "var(--soft)"
    return "var(--faint)" if red < 0xFA else "var(--paper)"
