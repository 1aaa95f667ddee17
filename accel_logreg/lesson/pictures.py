"""The pictures of the speed-up report, each an SVG in bytes: curves, staircases, photographs and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Float64
from accel_logreg.kernels.numpy_vectorised.dense import sigmoid
from accel_logreg.lesson.crops import CAT, PHOTOGRAPHS, SIDE, Crops, photograph, tiles
from accel_logreg.lesson.descent import DescentStudy
from accel_logreg.lesson.dot import LESSON_SECONDS, LESSON_SIZE, NUMPY, DotStudy
from accel_logreg.lesson.report import Results, absent
from accel_logreg.measure import pictures as shared
from accel_logreg.measure.intervals import Interval, median_interval
from accel_logreg.measure.pictures import BLUE, ENGINE_COLOURS, VERMILION, Step
from accel_logreg.measure.words import in_words, significant


def draw(results: Results, train_crops: Crops, test_crops: Crops) -> dict[str, bytes]:
    """Every picture of the report by the name it has there."""
    studies = [(f"{results.like.n_rows:,} rows, all engines", results.like)]
    if results.full is not None:
        studies.append((f"{results.full.n_rows:,} rows, fast engines", results.full))
    run = results.trained.runs[-1]
    probabilities = sigmoid(load_backend(run.engine).logits(test_crops.X, run.W))
    return {
        "dot_time": dot_time(results.dot),
        "dot_speed_up": dot_speed_up(results.dot),
        "dot_staircase": dot_staircase(results.dot, absent(results)),
        "step_time": step_time(studies),
        "cost_curves": cost_curves(studies),
        "regions": regions(),
        "train_crops": train_samples(train_crops),
        "predictions": predictions(test_crops, probabilities),
        "weights": weights(run.W, results.trained.steps),
    }


_LENGTH = "length of the vectors (float64 numbers)"


@shared.drawn
def dot_time(study: DotStudy) -> Figure:
    """Seconds per call against the length of the vectors, with the lesson's two figures."""
    size = study.headline_size()
    medians = {way.name: study.seconds(way.name) for way in study.timed()}
    named = [name for name in dict.fromkeys((study.baseline(), NUMPY)) if size in medians.get(name, {})]
    words = ", ".join(f"{in_words(medians[name][size])} by {name}" for name in named)
    title = f"Dot product: time of one call\n{size:,} numbers: {words}"
    figure, axes = shared.new_axes(
        4.8, log=True, title=title, xlabel=_LENGTH, ylabel="median time of one call"
    )
    curves = [
        (way.name, way.engine, {n: Interval(seconds) for n, seconds in medians[way.name].items()})
        for way in study.timed()
    ]
    shared.draw_lines(axes, curves)
    for name, value in LESSON_SECONDS.items():
        axes.plot(LESSON_SIZE, value, marker="*", ms=12, mfc="none", mec="0.25", ls="none")
        axes.annotate(
            f"lesson: {name}", (LESSON_SIZE, value), (-9, 5), textcoords="offset points", ha="right",
            color="0.25", fontsize=9.5,
        )  # fmt: skip
    shared.log_axes(axes, x="counts", y="seconds")
    shared.legend_below(figure, axes)
    return figure


def dot_speed_up(study: DotStudy) -> bytes:
    """How many times faster than the lesson's loop, at the sizes where that ran, and how sure that is."""
    ways, size = study.timed(), study.headline_size()
    base = ways[0]
    best = max(ways, key=lambda way: study.speed_up(way.name) or 0.0)
    title = f"At {size:,} numbers nothing measured is faster\nthan the {base.name}"
    if best is not base:
        factor = significant(study.speed_up(best.name) or 0.0)
        title = f"At {size:,} numbers {best.name} is\n{factor} times faster than the {base.name}"
    return shared.speed_up(title, _LENGTH, base, ways, study.crossings())


def dot_staircase(study: DotStudy, absent: dict[str, str]) -> bytes:
    """From the loop over arrays to the GPU, at the length that the headlines speak of.

    absent : engine → the reason why it was not measured.
    """
    size = study.headline_size()
    steps = [
        Step(way.name, way.engine, median_interval(way.samples[size]))
        if size in way.samples
        else Step(way.name, way.engine, None, study.stopped.get(way.name, "not run at this length"))
        for way in study.timed()
    ]
    steps += [Step(engine, engine, None, reason) for engine, reason in absent.items()]
    return shared.staircase(f"One dot product of {size:,} numbers, from the loop on", steps)


# For curves that lie on top of each other: wide and solid below, narrow and broken above.
_LAYERS = ((6.0, "-"), (3.5, (0, (6, 2))), (2.2, (0, (2, 2))), (1.2, (0, (1, 3))))
Studies = Sequence[tuple[str, DescentStudy]]


@shared.drawn
def step_time(studies: Studies) -> Figure:
    """A staircase of times per step, one panel a table: small dots are rounds, the large one their median."""
    lines = [len(study.runs) for _, study in studies]
    figure, panels = _panels(1.15 * len(studies) + 0.46 * sum(lines), [n + 0.6 for n in lines])
    for axes, (title, study) in zip(panels, studies, strict=True):
        _steps(axes, title, study)
    return figure


def _steps(axes: Axes, title: str, study: DescentStudy) -> None:
    fastest = min(min(run.samples) for run in study.runs)
    slowest = max(max(run.samples) for run in study.runs)
    for level, run in enumerate(study.runs):
        colour = ENGINE_COLOURS[run.engine]
        axes.plot(run.samples, [level] * len(run.samples), "o", ms=4, color=colour, alpha=0.45)
        axes.plot(run.step_seconds, level, "o", ms=9, color=colour)
        text = in_words(run.step_seconds)
        if run is not study.runs[0]:
            text += f": {significant(study.speed_up(run))} times faster than {study.runs[0].engine}"
        # Words grow towards the middle of the panel, so that they never leave it.
        side, shift = ("left", -6) if run.step_seconds < math.sqrt(fastest * slowest) else ("right", 6)
        axes.annotate(
            text, (run.step_seconds, level), (shift, 9), textcoords="offset points", ha=side, fontsize=9.5
        )
    margin = max(4.0, (slowest / fastest) ** 0.2)
    shared.levels(axes, [run.engine for run in study.runs], (fastest / margin, slowest * margin), -0.6)
    axes.set(title=title, xlabel="time of one step of gradient descent, log scale")
    shared.log_axes(axes, x="seconds")


@shared.drawn
def cost_curves(studies: Studies) -> Figure:
    """Every engine's cost before every step: curves on top of each other, so the lower ones are wider."""
    figure, panels = _panels(3.1 * len(studies), [1.0] * len(studies))
    for axes, (title, study) in zip(panels, studies, strict=True):
        for run, (width, dash) in zip(study.runs, _LAYERS, strict=False):
            axes.plot(run.costs, color=ENGINE_COLOURS[run.engine], lw=width, ls=dash, label=run.engine)
        axes.set(xlabel="step", ylabel="cost J (nats per crop)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(study.runs) > 1:
            title += f": costs agree to {study.largest_difference:.0e} relative"
        axes.set_title(title, fontsize=10.5)
        axes.legend(loc="upper right")
    return figure


def _panels(height: float, ratios: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """One below the other, with room between one's words below and the next one's above."""
    figure = shared.new_figure(height)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(hspace=0.09)
    return figure, list(figure.subplots(len(ratios), squeeze=False, height_ratios=ratios)[:, 0])


# ---- photographs ----------------------------------------------------------------------------------------

_COLUMNS = 6  # crops side by side: about 60 pixels each on a phone
_CAPTION: dict[str, Any] = {"fontsize": 9.5, "loc": "center"}


@shared.drawn
def regions() -> Figure:
    """The eight photographs; hatched tiles are for testing, the rest for training."""
    figure = shared.new_figure(3.7)
    for axes, name in zip(figure.subplots(2, 4).flat, PHOTOGRAPHS, strict=True):
        picture = photograph(name)
        axes.imshow(picture)
        for tile in tiles(*picture.size)[1]:
            place = (tile.left, tile.top), tile.right - tile.left, tile.bottom - tile.top
            # White under black, so that the frame shows on dark and on light pictures.
            axes.add_patch(Rectangle(*place, fill=False, ec="white", lw=3))
            axes.add_patch(Rectangle(*place, fill=False, ec="black", lw=1.2, hatch="//"))
        axes.set_axis_off()
        axes.set_title(f"{_stem(name)}: {'1, cat' if name == CAT else '0, other'}", **_CAPTION)
    figure.suptitle("Crops for testing come from the hatched tiles only", fontsize=12)
    return figure


def train_samples(crops: Crops, rows: int = 3) -> bytes:
    """The first crops of the training set, which is in random order."""
    shown = range(min(rows * _COLUMNS, len(crops.y)))
    captions = [(_stem(crops.boxes[i].photograph), "black") for i in shown]
    return _grid(crops, shown, captions, "The first training crops, 64 × 64 pixels each")


def predictions(crops: Crops, probabilities: Float64) -> bytes:
    """Up to 12 right and 12 wrong test crops, drawn at random, with the predicted probability of "cat"."""
    rng = np.random.default_rng(0)
    right = (probabilities > 0.5) == (crops.y == 1.0)
    shown = [
        int(i) for group in (right, ~right) for i in rng.permutation(np.flatnonzero(group))[: 2 * _COLUMNS]
    ]
    captions = [
        (
            f"{'✓' if right[i] else '✗'} {probabilities[i]:.2f} {'cat' if crops.y[i] else 'other'}",
            BLUE if right[i] else VERMILION,
        )
        for i in shown
    ]
    title = (
        f"Drawn at random from {int(right.sum())} right (✓) and {int((~right).sum())} wrong (✗) test crops:\n"
        "predicted probability of cat, then the true label"
    )
    return _grid(crops, shown, captions, title)


@shared.drawn
def _grid(crops: Crops, shown: Sequence[int], captions: Sequence[tuple[str, str]], title: str) -> Figure:
    rows = -(-len(shown) // _COLUMNS)
    figure = shared.new_figure(1.16 * rows + 0.7)
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, i, (caption, colour) in zip(panels, shown, captions, strict=False):
        axes.imshow(crops.X[i].reshape(SIDE, SIDE, 3), interpolation="none")
        axes.set_title(caption, color=colour, **_CAPTION)
    figure.suptitle(title, fontsize=12)
    return figure


@shared.drawn
def weights(W: Float64, steps: int) -> Figure:
    """The learned weights as a picture: all three channels together, then each with a diverging scale.

    One symmetric scale ±max |w| for all panels, so that no channel looks stronger than it is.
    """
    picture = W[:-1].reshape(SIDE, SIDE, 3)
    limit = float(np.abs(picture).max()) or 1.0  # all-zero weights are drawn as plain grey
    figure = shared.new_figure(5.6)
    panels = figure.subplots(2, 2)
    panels[0, 0].imshow(0.5 + picture / (2.0 * limit), interpolation="nearest")
    panels[0, 0].set_title("all channels: ½ + w / (2 max |w|)", **_CAPTION)
    for axes, channel, name in zip(panels.flat[1:], range(3), ("red", "green", "blue"), strict=True):
        image = axes.imshow(
            picture[:, :, channel], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        axes.set_title(f"{name} channel", **_CAPTION)
    for axes in panels.flat:
        axes.set_axis_off()
    bar = figure.colorbar(image, ax=panels, shrink=0.6, aspect=30)
    bar.set_label("weight (log-odds of cat per unit of intensity)")
    figure.suptitle(
        f"Learned weights after {steps:,} steps: a bright pixel where it is red\n"
        "speaks for cat, where it is blue against",
        fontsize=12,
    )
    return figure


def _stem(name: str) -> str:
    return name.split(".", maxsplit=1)[0].replace("_deep_field", "").replace("_left", "")
