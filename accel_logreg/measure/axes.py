"""What all pictures share: a figure without a display, and axes whose ticks are words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator

DPI = 150
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
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
ENGINE_COLOURS = {"python": VERMILION, "numpy": BLUE, "numba": GREEN, "cupy": PURPLE}
ENGINE_MARKERS = {"python": "o", "numpy": "s", "numba": "^", "cupy": "D"}
# A look per line, the engine's colours first; lines of one engine differ in colour, dash and marker.
_LOOKS = {
    "python": ((VERMILION, "o", "-"), (ORANGE, "s", "--"), (BLACK, "D", ":")),
    "numpy": ((BLUE, "v", "-"), (BLACK, "x", "--")),
    "numba": ((GREEN, "^", "-"), (SKY, "P", "--"), (ORANGE, "h", ":"), (BLACK, "*", "-.")),
    "cupy": ((PURPLE, "X", "-"), (VERMILION, "d", "--"), (BLACK, "1", ":")),
}
Look = tuple[str, str, str]
MOST_TICKS = 7  # of a log axis; more would run into each other


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """A figure of that many inches; no pyplot, so no global state and no display."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looks(engines: Sequence[str]) -> list[Look]:
    """(colour, marker, dash) of each line, given whose it is; the same engine gets another each time."""
    counted = dict.fromkeys(engines, 0)
    found = []
    for engine in engines:
        choice = _LOOKS.get(engine, _LOOKS["python"])
        found.append(choice[counted[engine] % len(choice)])
        counted[engine] += 1
    return found


def log_axes(axes: Axes, x: str | None = None, y: str | None = None) -> None:
    """Log scales with ticks in words: each of "seconds", "counts", "rates", "gaps" or None for a linear axis.

    Call it when all is drawn: the ticks depend on the limits.
    """
    for axis, (low, high), kind in ((axes.xaxis, axes.get_xlim(), x), (axes.yaxis, axes.get_ylim(), y)):
        if kind is not None:
            _ticks(axis, low, high, kind)


def legend_below(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """Outside: curves over five decades leave no corner free at every machine's speeds."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


_TICKS: dict[str, Any] = {
    "seconds": EngFormatter("s"),
    "counts": EngFormatter(sep=""),
    "rates": lambda value, _: f"{value:,.0f}" if value >= 1.0 else f"{value:g}",
    "gaps": lambda value, _: f"{value:.0e}".replace("e-0", "e-"),
}


def _ticks(axis: Axis, low: float, high: float, kind: str) -> None:
    decades = math.log10(high / low)
    # Less than two decades need ticks between the powers of ten.
    steps = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    ticks = [tick for tick in LogLocator(subs=steps).tick_values(low, high) if low <= tick <= high]
    every = math.ceil(len(ticks) / MOST_TICKS)
    axis.set_major_locator(FixedLocator(ticks[::every]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(_TICKS[kind])
