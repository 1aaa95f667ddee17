"""The lesson's picture task, from photographs that are already on the disk.

The lesson tells cat pictures from other pictures, 64 × 64 × 3 numbers each. Its data set is not
ours to ship, so this module cuts thousands of 64 × 64 crops out of the eight RGB photographs inside
scikit-image's wheel: label 1 is a crop of the one cat among them, label 0 a crop of another.

This is a CROP task: it tells pieces of one cat photograph from pieces of seven other photographs.
It has the lesson's shape and its difficulty for a linear model. It is not a cat detector.

Train and test crops never share a pixel: each photograph is cut into 3 × 3 tiles, one tile of every
row and column of tiles is for testing, and a crop lies inside one tile. Left against right instead of
tiles would ask for another task: the two halves of a photograph show different things.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from accel_logreg.interface.arrays import Float64, Matrix

SIDE = 64  # pixels; a crop is SIDE × SIDE × 3 numbers
FEATURES = SIDE * SIDE * 3

# Every RGB photograph in the wheel (the rest are grey, drawn, or the right eye of a stereo pair).
CAT = "chelsea.png"
OTHERS = (
    "astronaut.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg",
    "rocket.jpg",
)  # fmt: skip
PHOTOGRAPHS = (CAT, *OTHERS)

GRID = 3  # tiles along each side of a photograph
SCALES = (48, 64, 96)  # pixels of the photograph along one side of a crop; the smallest tile has 100


@dataclass(frozen=True)
class Box:
    """A square of a photograph: ``side`` pixels from row ``top`` down and column ``left`` to the right."""

    photograph: str
    top: int
    left: int
    side: int


@dataclass(frozen=True)
class Crops:
    """X : (m, 12288) float32 or float64 in [0, 1], C-contiguous; y : (m,) float64, 1.0 is the cat.

    boxes : where each row was cut, in the order of the rows.
    """

    X: Matrix
    y: Float64
    boxes: tuple[Box, ...]

    def first(self, rows: int) -> Crops:
        return Crops(self.X[:rows], self.y[:rows], self.boxes[:rows])


@dataclass(frozen=True)
class Tile:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a photograph, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def places(self, side: int) -> int:
        """In how many places a crop of ``side`` pixels fits."""
        return max(0, self.bottom - self.top - side + 1) * max(0, self.right - self.left - side + 1)


def tiles(width: int, height: int) -> tuple[list[Tile], list[Tile]]:
    """The six train tiles and the three test tiles of a photograph, which together tile it."""
    rows, columns = ([length * k // GRID for k in range(GRID + 1)] for length in (height, width))
    train: list[Tile] = []
    test: list[Tile] = []
    for r, c in product(range(GRID), repeat=2):
        tile = Tile(rows[r], rows[r + 1], columns[c], columns[c + 1])
        (test if (r + c) % GRID == GRID - 1 else train).append(tile)
    return train, test


def photograph(name: str) -> Image.Image:
    """One of PHOTOGRAPHS as an RGB picture, read from the installed scikit-image; nothing is downloaded.

    Raises
    ------
    FileNotFoundError
        The installed scikit-image does not carry the file.
    """
    # The file is opened directly because skimage.data's own functions download what is missing.
    path = files("skimage") / "data" / name
    if not path.is_file():
        raise FileNotFoundError(
            f"photograph {name!r} is not inside the installed scikit-image; the crops need "
            f"{', '.join(PHOTOGRAPHS)}. Remedy: pip install 'scikit-image>=0.25'"
        )
    with path.open("rb") as file:
        return Image.open(file).convert("RGB")


def make_crops(n_train: int, n_test: int, *, dtype: str, random_state: int) -> tuple[Crops, Crops]:
    """Train and test crops from disjoint regions, half of each with label 1, no crop twice.

    Parameters
    ----------
    n_train, n_test : int
        Rows, even and at least 2.
    dtype : {"float32", "float64"}
    random_state : int
        The same number gives the same crops in the same order.

    Raises
    ------
    ValueError
        A number of rows that is odd or below 2, more crops than a photograph has places, another dtype.
    """
    for name, rows in (("n_train", n_train), ("n_test", n_test)):
        if rows < 2 or rows % 2:
            raise ValueError(f"{name}={rows} cannot be half cat, half other; give an even number from 2 up")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={dtype!r} is not supported; allowed: 'float32', 'float64'")
    rng = np.random.default_rng(random_state)
    pictures = {name: photograph(name) for name in PHOTOGRAPHS}
    train = _crops(pictures, n_train // 2, "train", rng)
    test = _crops(pictures, n_test // 2, "test", rng)
    return _cut(pictures, train, dtype), _cut(pictures, test, dtype)


def _crops(pictures: dict[str, Image.Image], half: int, part: str, rng: np.random.Generator) -> list[Box]:
    """``half`` boxes of the cat and as many of the others, in random order."""
    boxes = _places(pictures[CAT], CAT, half, part, rng)
    for name, count in zip(OTHERS, _even_split(half, len(OTHERS), rng), strict=True):
        boxes += _places(pictures[name], name, count, part, rng)
    return [boxes[i] for i in rng.permutation(len(boxes))]


def _places(picture: Image.Image, name: str, count: int, part: str, rng: np.random.Generator) -> list[Box]:
    """``count`` different boxes inside the tiles of one part, the scales in equal shares."""
    part_tiles = tiles(*picture.size)[part == "test"]
    boxes = []
    for side, n in zip(SCALES, _even_split(count, len(SCALES), rng), strict=True):
        ends = np.cumsum([tile.places(side) for tile in part_tiles])
        if n > ends[-1]:
            raise ValueError(
                f"{name} has {ends[-1]} {part} places for a crop of {side} pixels, but {n} are asked; "
                "ask for fewer rows"
            )
        for place in rng.choice(ends[-1], size=n, replace=False):
            k = int(np.searchsorted(ends, place, side="right"))
            tile = part_tiles[k]
            down, right = divmod(int(ends[k] - 1 - place), tile.right - tile.left - side + 1)
            boxes.append(Box(name, tile.top + down, tile.left + right, side))
    return boxes


def _even_split(total: int, parts: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``total`` in ``parts`` whole shares that differ by at most one; who gets the rest is drawn."""
    shares = np.full(parts, total // parts, dtype=np.int64)
    shares[rng.permutation(parts)[: total % parts]] += 1
    return shares


def _cut(pictures: dict[str, Image.Image], boxes: list[Box], dtype: str) -> Crops:
    pixels = np.empty((len(boxes), FEATURES), dtype=np.uint8)
    for row, box in zip(pixels, boxes, strict=True):
        # Cut first, then resize: a resize of the whole picture would let its filter read pixels
        # beyond the box, and a test crop would carry a trace of a train tile.
        piece = pictures[box.photograph].crop((box.left, box.top, box.left + box.side, box.top + box.side))
        row[:] = np.asarray(piece.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).reshape(-1)
    X: Matrix = pixels / np.dtype(dtype).type(255)
    y = np.array([1.0 if box.photograph == CAT else 0.0 for box in boxes])
    return Crops(X, y, tuple(boxes))
