"""Real data that is on the disk already: scikit-learn's small sets, and the demo's crops of photographs."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bench.problems.dense import pixels
from bench.problems.problem import SEED, Problem


def digits(dtype: str) -> Problem:
    """scikit-learn's 1797 handwritten digits of 8x8 pixels from 0 to 16, as a binary task: is it odd?"""
    X, y = load_digits(return_X_y=True)
    return Problem("digits 1797x64", (X / 16.0).astype(dtype), (y % 2).astype(np.float64))


def crops(n: int, dtype: str) -> Problem:
    """The demo's pictures: 64x64x3 crops of photographs inside scikit-image's wheel, cat or not.

    A skip with the reason where scikit-image or Pillow is missing, as on the image of a GPU machine.
    """
    missing = [name for name in ("skimage", "PIL") if not find_spec(name)]
    if missing:
        pytest.skip(f"the crops of photographs need {' and '.join(missing)}; remedy: pip install '.[lab]'")
    from accel_logreg.lesson.crops import make_crops

    train, _ = make_crops(n + n % 2, 2, dtype=dtype, random_state=SEED)
    return Problem(f"crops {n}x12288", np.ascontiguousarray(train.X[:n]), train.y[:n])


def pictures(n: int, dtype: str) -> Problem:
    """The demo's crops, or made pictures where they are not to be had; the name says which."""
    try:
        return crops(n, dtype)
    except (pytest.skip.Exception, FileNotFoundError):
        return pixels(n, dtype)
