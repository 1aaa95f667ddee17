"""The crop task: shapes, labels, seeds, and above all that train and test share no pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from accel_logreg.lesson import crops
from accel_logreg.lesson.crops import CAT, FEATURES, PHOTOGRAPHS, SCALES, SIDE, make_crops, photograph, tiles


@pytest.fixture(scope="module")
def parts() -> tuple[crops.Crops, crops.Crops]:
    return make_crops(420, 210, dtype="float64", random_state=3)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_train_and_test_crops_share_no_pixel(parts: tuple[crops.Crops, crops.Crops], name: str) -> None:
    width, height = photograph(name).size
    seen = []
    for part in parts:
        pixels = np.zeros((height, width), dtype=bool)
        for box in part.boxes:
            if box.photograph == name:
                assert 0 <= box.top <= height - box.side
                assert 0 <= box.left <= width - box.side
                pixels[box.top : box.top + box.side, box.left : box.left + box.side] = True
        assert pixels.any()
        seen.append(pixels)
    assert not (seen[0] & seen[1]).any()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_tiles_cover_each_photograph_once(name: str) -> None:
    width, height = photograph(name).size
    count = np.zeros((height, width), dtype=int)
    train, test = tiles(width, height)
    for tile in train + test:
        count[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert (count == 1).all()
    assert (len(train), len(test)) == (6, 3)
    assert all(tile.places(side) > 0 for tile in train + test for side in SCALES)


def test_a_crop_carries_nothing_from_outside_its_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repaint all pixels outside the training boxes: X of the training crops must not change."""
    before, _ = make_crops(42, 2, dtype="float64", random_state=1)

    def repainted(name: str) -> Image.Image:
        pixels = 255 - np.asarray(photograph(name))
        for box in before.boxes:
            if box.photograph == name:
                rows, columns = slice(box.top, box.top + box.side), slice(box.left, box.left + box.side)
                pixels[rows, columns] = np.asarray(photograph(name))[rows, columns]
        return Image.fromarray(pixels)

    monkeypatch.setattr(crops, "photograph", repainted)
    after, _ = make_crops(42, 2, dtype="float64", random_state=1)
    np.testing.assert_array_equal(after.X, before.X)


def test_shapes_ranges_and_labels(parts: tuple[crops.Crops, crops.Crops]) -> None:
    for part, rows in zip(parts, (420, 210), strict=True):
        assert part.X.shape == (rows, FEATURES) == (rows, SIDE * SIDE * 3)
        assert part.X.flags.c_contiguous
        assert part.X.min() >= 0.0
        assert part.X.max() <= 1.0
        assert part.y.dtype == np.float64
        assert part.y.mean() == 0.5
        assert [box.photograph == CAT for box in part.boxes] == (part.y == 1.0).tolist()
        assert len(set(part.boxes)) == rows
        assert {box.side for box in part.boxes} == set(SCALES)
        assert {box.photograph for box in part.boxes} == set(PHOTOGRAPHS)


def test_rows_of_the_right_size_are_the_pixels_themselves(parts: tuple[crops.Crops, crops.Crops]) -> None:
    row, box = next((i, box) for i, box in enumerate(parts[0].boxes) if box.side == SIDE)
    pixels = np.asarray(photograph(box.photograph))[box.top : box.top + SIDE, box.left : box.left + SIDE]
    np.testing.assert_array_equal(parts[0].X[row], pixels.reshape(-1) / 255.0)


def test_the_seed_decides() -> None:
    first, again, other = (make_crops(16, 2, dtype="float32", random_state=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.X, again.X)
    assert first.boxes == again.boxes
    assert first.boxes != other.boxes


def test_float32_is_float64_rounded() -> None:
    small, large = (make_crops(16, 2, dtype=name, random_state=0)[0] for name in ("float32", "float64"))
    assert small.X.dtype == np.float32
    np.testing.assert_array_equal(small.X, large.X.astype(np.float32))


@pytest.mark.parametrize(
    ("n_train", "n_test", "name"), [(3, 2, "n_train=3"), (0, 2, "n_train=0"), (2, 5, "n_test=5")]
)
def test_refuses_rows_that_cannot_be_balanced(n_train: int, n_test: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be half cat"):
        make_crops(n_train, n_test, dtype="float64", random_state=0)


def test_refuses_other_dtypes_and_more_crops_than_places() -> None:
    with pytest.raises(ValueError, match=r"dtype='int8' is not supported; allowed: 'float32', 'float64'"):
        make_crops(2, 2, dtype="int8", random_state=0)
    with pytest.raises(ValueError, match=r"chelsea\.png has \d+ train places"):
        make_crops(20_000, 2, dtype="float32", random_state=0)


def test_a_missing_photograph_is_named_with_the_remedy() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"'dog\.png' is not inside the installed scikit-image.*pip install"
    ):
        photograph("dog.png")
