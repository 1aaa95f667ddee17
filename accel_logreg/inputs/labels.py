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
    if y.dtype.kind == "O":
        _check_objects(y)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has only one class, {classes.tolist()[0]!r}; two are needed to fit a classifier")
    return classes, codes.astype(np.int8 if len(classes) == 2 else np.int32)


def _check_objects(y: NDArray[Any]) -> None:
    """Raise ValueError where a label is missing, or strings are mixed with others: they have no order."""
    strings = np.fromiter((isinstance(label, str) for label in y), np.bool_, len(y))
    for i in np.flatnonzero(~strings).tolist():
        label = y[i]
        if label is None or type(label).__name__ in ("NAType", "NaTType") or label != label:
            raise ValueError(
                f"y[{i}] is {label!r}: a missing label. Input y contains NaN or None; drop the row"
            )
    if strings.any() and not strings.all():
        i, j = int(strings.argmax()), int((~strings).argmax())
        raise ValueError(
            f"y mixes strings and others, as y[{i}]={y[i]!r} and y[{j}]={y[j]!r}, which cannot be sorted; "
            "pass labels of one type, for example y.astype(str)"
        )
