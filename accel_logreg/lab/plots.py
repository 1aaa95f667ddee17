"""The curves of the speed-up report, each a PNG in bytes.

Figures are drawn through Matplotlib's Figure and the Agg canvas alone: no pyplot, so no global state and
no display. Colours are those of Okabe and Ito, which stay apart for colour-blind eyes; lines also differ
in dash and marker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from accel_logreg.lab.clock import in_words, significant
from accel_logreg.lab.descent import DescentStudy
from accel_logreg.lab.dot import LESSON_SECONDS, LESSON_SIZE, NUMPY, DotStudy

DPI = 150
WIDTH = 7.0  # inches; text of 11 points stays legible when a phone shows the picture 390 pixels wide
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.35,
    "legend.fontsize": 9.5,
    "legend.framealpha": 0.9,
}
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
ENGINE_COLOURS = {"python": VERMILION, "numpy": BLUE, "numba": GREEN, "cupy": PURPLE}
# One look per line, in the order in which the versions of the dot product are measured.
LOOKS = (
    (VERMILION, "o", "-"),
    (ORANGE, "s", "--"),
    (BLACK, "D", ":"),
    (BLUE, "v", "-"),
    (GREEN, "^", "--"),
    (SKY, "P", "-."),
    (PURPLE, "X", "-"),
)
# For curves that lie on top of each other: wide and solid below, narrow and broken above.
LAYERS = ((6.0, "-"), (3.5, (0, (6, 2))), (2.2, (0, (2, 2))), (1.2, (0, (1, 3))))


def new_figure(height: float, width: float = WIDTH) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def dot_time(study: DotStudy) -> bytes:
    """Seconds per call against the length of the vectors, with the lesson's two figures."""
    with rc_context(STYLE):
        figure = new_figure(5.4)
        axes = figure.add_subplot()
        for version, (colour, marker, dash) in zip(study.versions(), LOOKS, strict=False):
            seconds = study.seconds(version)
            axes.loglog(
                list(seconds),
                list(seconds.values()),
                color=colour,
                marker=marker,
                ls=dash,
                ms=5,
                label=version,
            )
        for name, value in LESSON_SECONDS.items():
            axes.plot(LESSON_SIZE, value, marker="*", ms=13, mfc="none", mec="0.25", ls="none")
            axes.annotate(
                f"lesson: {name}",
                (LESSON_SIZE, value),
                (-9, 3),
                textcoords="offset points",
                ha="right",
                color="0.25",
                bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
            )
        axes.set_xlabel("length of the vectors (float64 numbers)")
        axes.set_ylabel("median time of one call (s)")
        axes.set_title("Dot product: time of one call" + _times_in_title(study))
        _legend_below(figure, axes)
        return to_png(figure)


def dot_speed_up(study: DotStudy) -> bytes:
    """How many times faster than the lesson's loop, at the sizes where that loop ran."""
    baseline = study.baseline()
    base = study.seconds(baseline)
    with rc_context(STYLE):
        figure = new_figure(5.4)
        axes = figure.add_subplot()
        for version, (colour, marker, dash) in zip(study.versions(), LOOKS, strict=False):
            seconds = study.seconds(version)
            sizes = [size for size in seconds if size in base]
            ratios = [base[size] / seconds[size] for size in sizes]
            axes.loglog(sizes, ratios, color=colour, marker=marker, ls=dash, ms=5, label=version)
        axes.set_xlabel("length of the vectors (float64 numbers)")
        axes.set_ylabel(f"times faster than\n{baseline}")
        axes.set_title(_speed_up_title(study))
        _legend_below(figure, axes)
        return to_png(figure)


def step_time(studies: Sequence[tuple[str, DescentStudy]]) -> bytes:
    """A staircase of times per step, one panel a table: small dots are rounds, the large one their median."""
    with rc_context(STYLE):
        lines = [len(study.runs) for _, study in studies]
        figure = new_figure(1.3 * len(studies) + 0.5 * sum(lines))
        panels = figure.subplots(len(studies), squeeze=False, height_ratios=[n + 0.6 for n in lines])[:, 0]
        for axes, (title, study) in zip(panels, studies, strict=True):
            _steps(axes, title, study)
        return to_png(figure)


def cost_curves(studies: Sequence[tuple[str, DescentStudy]]) -> bytes:
    """Every engine's cost before every step: curves on top of each other, so the lower ones are wider."""
    with rc_context(STYLE):
        figure = new_figure(3.4 * len(studies))
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
            axes.set_title(f"{title}{difference}")
            axes.legend(loc="upper right")
        return to_png(figure)


def _steps(axes: Axes, title: str, study: DescentStudy) -> None:
    fastest = min(min(run.samples) for run in study.runs)
    slowest = max(max(run.samples) for run in study.runs)
    middle = math.sqrt(fastest * slowest)
    for level, run in enumerate(study.runs):
        colour = ENGINE_COLOURS[run.engine]
        axes.plot(
            [1e3 * s for s in run.samples], [level] * len(run.samples), "o", ms=4, color=colour, alpha=0.45
        )
        axes.plot(1e3 * run.step_seconds, level, "o", ms=10, color=colour)
        text = in_words(run.step_seconds)
        if run is not study.runs[0]:
            text += f": {significant(study.speed_up(run))} times faster than {study.runs[0].engine}"
        # Words grow towards the middle of the panel, so that they never leave it.
        side = "left" if run.step_seconds < middle else "right"
        place = (-6 if side == "left" else 6, 9)
        axes.annotate(text, (1e3 * run.step_seconds, level), place, textcoords="offset points", ha=side)
    axes.set_xscale("log")
    margin = max(4.0, (slowest / fastest) ** 0.2)
    axes.set_xlim(1e3 * fastest / margin, 1e3 * slowest * margin)
    # Less than two decades need ticks between the powers of ten; more would crowd them.
    narrow = slowest / fastest * margin**2 < 100.0
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(len(study.runs) - 0.6, -0.75)
    axes.set_yticks(range(len(study.runs)), [run.engine for run in study.runs])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("time of one step of gradient descent (ms, log scale)")
    axes.set_title(title)


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


def _legend_below(figure: Figure, axes: Axes) -> None:
    # Outside: curves over five decades leave no corner free at every machine's speeds.
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
