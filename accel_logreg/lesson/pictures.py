"""The photographs of the speed-up report: where crops come from, what they look like, what was learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64
from accel_logreg.lesson.crops import CAT, PHOTOGRAPHS, SIDE, Crops, photograph, tiles
from accel_logreg.measure.axes import BLUE, STYLE, VERMILION, new_figure
from accel_logreg.measure.svg import to_svg

COLUMNS = 6  # crops side by side: about 60 pixels each on a phone
PICTURE_STYLE = STYLE | {"axes.grid": False, "axes.titlesize": 9.5, "axes.titlelocation": "center"}


def regions() -> bytes:
    """The eight photographs; hatched tiles are for testing, the rest for training."""
    with rc_context(PICTURE_STYLE):
        figure = new_figure(3.7)
        for axes, name in zip(figure.subplots(2, 4).flat, PHOTOGRAPHS, strict=True):
            picture = photograph(name)
            axes.imshow(picture)
            for tile in tiles(*picture.size)[1]:
                corner = (tile.left, tile.top)
                size = (tile.right - tile.left, tile.bottom - tile.top)
                # White under black, so that the frame shows on dark and on light pictures.
                axes.add_patch(Rectangle(corner, *size, fill=False, ec="white", lw=3))
                axes.add_patch(Rectangle(corner, *size, fill=False, ec="black", lw=1.2, hatch="//"))
            axes.set_axis_off()
            axes.set_title(f"{_stem(name)}: {'1, cat' if name == CAT else '0, other'}")
        figure.suptitle("Crops for testing come from the hatched tiles only", fontsize=12)
        return to_svg(figure)


def train_samples(crops: Crops, rows: int = 3) -> bytes:
    """The first crops of the training set, which is in random order."""
    shown = range(min(rows * COLUMNS, len(crops.y)))
    captions = [(_stem(crops.boxes[i].photograph), "black") for i in shown]
    return _grid(crops, shown, captions, "The first training crops, 64 × 64 pixels each")


def predictions(crops: Crops, probabilities: Float64, random_state: int = 0) -> bytes:
    """Up to 12 right and 12 wrong test crops, drawn at random, with the predicted probability of "cat"."""
    rng = np.random.default_rng(random_state)
    right = (probabilities > 0.5) == (crops.y == 1.0)
    shown: list[int] = []
    for group in (np.flatnonzero(right), np.flatnonzero(~right)):
        shown += [int(i) for i in rng.permutation(group)[: 2 * COLUMNS]]
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


def weights(W: Float64, steps: int) -> bytes:
    """The learned weights as a picture: all three channels together, then each with a diverging scale.

    One symmetric scale ±max |w| for all panels, so that no channel looks stronger than it is.
    """
    picture = W[:-1].reshape(SIDE, SIDE, 3)
    limit = float(np.abs(picture).max()) or 1.0  # all-zero weights are drawn as plain grey
    with rc_context(PICTURE_STYLE):
        figure = new_figure(5.6)
        panels = figure.subplots(2, 2)
        panels[0, 0].imshow(0.5 + picture / (2.0 * limit), interpolation="nearest")
        panels[0, 0].set_title("all channels: ½ + w / (2 max |w|)")
        for axes, channel, name in zip(panels.flat[1:], range(3), ("red", "green", "blue"), strict=True):
            image = axes.imshow(
                picture[:, :, channel], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
            )
            axes.set_title(f"{name} channel")
        for axes in panels.flat:
            axes.set_axis_off()
        bar = figure.colorbar(image, ax=panels, shrink=0.6, aspect=30)
        bar.set_label("weight (log-odds of cat per unit of intensity)")
        figure.suptitle(
            f"Learned weights after {steps:,} steps: a bright pixel where it is red\n"
            "speaks for cat, where it is blue against",
            fontsize=12,
        )
        return to_svg(figure)


def _grid(crops: Crops, shown: Sequence[int], captions: Sequence[tuple[str, str]], title: str) -> bytes:
    rows = -(-len(shown) // COLUMNS)
    with rc_context(PICTURE_STYLE):
        figure = new_figure(1.16 * rows + 0.7)
        panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
        for axes in panels:
            axes.set_axis_off()
        for axes, i, (caption, colour) in zip(panels, shown, captions, strict=False):
            axes.imshow(_pixels(crops.X[i]), interpolation="none")
            axes.set_title(caption, color=colour)
        figure.suptitle(title, fontsize=12)
        return to_svg(figure)


def _pixels(row: NDArray[np.floating]) -> NDArray[np.floating]:
    return row.reshape(SIDE, SIDE, 3)


def _stem(name: str) -> str:
    return name.split(".", maxsplit=1)[0].replace("_deep_field", "").replace("_left", "")
