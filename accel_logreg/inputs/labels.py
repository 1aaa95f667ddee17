"""Labels of classes as 0, 1, 2, ….

scikit-learn's checks sort y several times, which for a million rows takes longer than the fit. A NumPy
array of whole numbers or booleans of two values needs three comparisons; anything else goes the general way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

Codes = NDArray[Any]  # int8 of two classes, int32 of more


def encode(y: NDArray[Any]) -> tuple[NDArray[Any], Codes]:
    """Classes (K,), sorted, and codes (n,) with ``classes[codes] == y``, for y (n,).

    Raises
    ------
    ValueError
        One class, or continuous values.
    """
    return _of_two_numbers(y) or _of_anything(y)


def _of_two_numbers(y: NDArray[Any]) -> tuple[NDArray[Any], Codes] | None:
    """The answer for whole numbers of exactly two values, else None."""
    if y.dtype.kind not in "biuf":
        return None
    first = y[0]
    other = y != first
    second = y[other.argmax()]
    if y.dtype.kind == "f" and not (first.is_integer() and second.is_integer()):
        return None
    if first == second or np.count_nonzero(y == second) != np.count_nonzero(other):
        return None
    if second < first:
        return np.array([second, first]), np.logical_not(other, out=other).view(np.int8)
    return np.array([first, second]), other.view(np.int8)


def _of_anything(y: NDArray[Any]) -> tuple[NDArray[Any], Codes]:
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has only one class, {classes.tolist()[0]!r}; two are needed to fit a classifier")
    return classes, codes.astype(np.int8 if len(classes) == 2 else np.int32)
