"""max_memory: what may be said, and what is said to those who say something else."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from accel_logreg import LogisticRegression
from accel_logreg.inputs.memory_size import memory_bytes


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, None),
        (1, 1),
        (np.int64(5), 5),
        ("800", 800),
        ("800B", 800),
        ("8GB", 8 * 10**9),
        (" 1.5 gb ", 1_500_000_000),
        ("512MiB", 512 << 20),
        (".5 KiB", 512),
        ("2 kB", 2000),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes(value: Any, size: int | None) -> None:
    assert memory_bytes(value) == size


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "max_memory=0 must be at least one byte"),
        (-3, ValueError, "max_memory=-3 must be at least one byte"),
        ("0GB", ValueError, "max_memory='0GB' must be at least one byte"),
        ("8 GX", ValueError, "max_memory='8 GX' is no size of memory; allowed: None, bytes as an integer"),
        ("-8GB", ValueError, "units B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"),
        ("GB", ValueError, "max_memory='GB' is no size of memory"),
        ("", ValueError, "max_memory='' is no size of memory"),
        ("1e9", ValueError, "max_memory='1e9' is no size of memory"),
        (1e9, TypeError, "max_memory=1000000000.0 must be None, bytes as an integer"),
        (True, TypeError, "max_memory=True must be None"),
    ],
)
def test_other_values_are_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        memory_bytes(value)
    model = LogisticRegression(backend="numpy", max_memory=value)
    with pytest.raises(error, match=re.escape(message)):
        model.fit(np.ones((4, 2)), np.array([0, 1, 0, 1]))


def test_nothing_is_bounded_where_nothing_is_copied(rng: np.random.Generator) -> None:
    X = rng.normal(size=(50, 3))
    y = X[:, 0] + rng.normal(size=50) > 0
    bounded = LogisticRegression(backend="numpy", max_memory=1).fit(X, y)
    free = LogisticRegression(backend="numpy").fit(X, y)
    np.testing.assert_array_equal(bounded.coef_, free.coef_)
