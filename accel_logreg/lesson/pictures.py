"""The pictures of the speed-up report, each an SVG in bytes: curves, staircases, photographs and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Float64
from accel_logreg.kernels.numpy_vectorised.dense import sigmoid
from accel_logreg.lesson.crops import CAT, PHOTOGRAPHS, SIDE, Crops, photograph, tiles
from accel_logreg.lesson.descent import DescentStudy
from accel_logreg.lesson.dot import LESSON_SECONDS, LESSON_SIZE, Claim, DotStudy
from accel_logreg.lesson.report import Results, absent
from accel_logreg.measure import pictures as shared
from accel_logreg.measure.intervals import Interval, median_interval
from accel_logreg.measure.pictures import BLACK, BLUE, ENGINE_COLOURS, VERMILION, Step
from accel_logreg.measure.words import in_words, significant


def draw(results: Results, train_crops: Crops, test_crops: Crops) -> dict[str, bytes]:
    """Every picture of the report by the name it has there."""
    run = results.trained.runs[-1]
    probabilities = sigmoid(load_backend(run.engine).logits(test_crops.X, run.W))
    claimed = results.dot.claim()
    return ({} if claimed is None else {"claim": claim(claimed)}) | {
        "dot_time": dot_time(results.dot),
        "dot_staircase": dot_staircase(results.dot, absent(results)),
        "cost_seconds": cost_seconds(results.like),
        "regions": regions(),
        "train_crops": train_samples(train_crops),
        "predictions": predictions(test_crops, probabilities),
        "weights": weights(run.W, results.trained.steps),
    }


@shared.drawn
def claim(found: Claim) -> Figure:
    """Four bars to one scale: the loop and the call here, and the two of the lesson."""
    factor = significant(found.factor)
    bars = [
        ("loop, here", found.loop, in_words(found.loop), VERMILION),
        (
            "np.dot, here",
            found.call,
            f"{in_words(found.call)}: {factor} times faster than the loop",
            BLUE,
        ),
        *(
            (f"{name}, in the lesson", seconds, in_words(seconds), colour)
            for (name, seconds), colour in zip(LESSON_SECONDS.items(), (VERMILION, BLUE), strict=True)
        ),
    ]
    figure, axes = shared.new_axes(2.3, title=f"Dot product of {found.size:,} numbers: bars to scale")
    longest = max(seconds for _, seconds, _, _ in bars)
    for level, (_, seconds, words, colour) in enumerate(bars):
        # An edge, so that a bar of a thousandth of the width is still a line.
        axes.barh(level, seconds, 0.6, color=colour, ec=colour, lw=1.0, alpha=1.0 if level < 2 else 0.55)
        axes.annotate(
            words, (seconds, level), (6, 0), textcoords="offset points", va="center", color=BLACK,
            fontweight="bold", fontsize=12,
        )  # fmt: skip
    axes.set(ylim=(3.5, -0.5), xlim=(0, 1.2 * longest))
    axes.set_yticks(range(4), [name for name, *_ in bars], fontsize=12)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[["bottom", "left"]].set_visible(False)
    return figure


_LENGTH = "length of the vectors (float64 numbers)"


@shared.drawn
def dot_time(study: DotStudy) -> Figure:
    """Seconds per call against the length of the vectors, with the lesson's two figures."""
    medians = {way.name: study.seconds(way.name) for way in study.timed()}
    title = "Dot product: time of one call by length"
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
            f"lesson: {name}", (LESSON_SIZE, value), (0, 8), textcoords="offset points", ha="center",
            color="0.25", fontsize=9.5,
        )  # fmt: skip
    shared.log_axes(axes, x="counts", y="seconds")
    shared.legend_below(figure, axes)
    return figure


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
    return shared.staircase(f"One dot product of {size:,} numbers", steps)


@shared.drawn
def cost_seconds(study: DescentStudy) -> Figure:
    """Every engine's cost against the seconds it had taken until then: the same steps, at another pace."""
    title = f"The same {study.steps:,} steps on {study.n_rows:,} pictures, against time"
    figure, axes = shared.new_axes(3.8, title=title, xlabel="seconds of training, log scale", ylabel="cost J")
    axes.set_xscale("log")
    for run in study.runs:
        each = np.repeat(run.samples, study.steps // len(run.samples))
        axes.plot(
            np.cumsum(each), run.costs[1:], "o-", ms=4, color=ENGINE_COLOURS[run.engine],
            label=f"{run.engine}: {in_words(run.step_seconds)} a step",
        )  # fmt: skip
    shared.log_axes(axes, x="seconds")
    shared.legend_below(figure, axes)
    return figure


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
