"""What a data file holds, as every reader of a kind gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer


@dataclass(frozen=True)
class Data:
    """A data file as numbers, or as the columns that a preparation makes numbers of."""

    X: Any  # (n, d), float32 or float64: C-contiguous, or CSR; with a preparation a pyarrow.Table
    y: NDArray[Any] | None  # (n,) of bools, integers, floats or strings; None if no target was asked
    names: tuple[str, ...] | None  # of each column of X; None for arrays, whose columns have none
    ignored: tuple[str, ...]  # columns (of an NPZ file: arrays) that are neither in X nor in y
    converted: str = ""  # what X was in an NPY file, where it is not read as it lies there
    preparation: ColumnTransformer | None = None  # not fitted yet, where it was made here
    ids: Mapping[str, Any] = field(default_factory=dict)  # columns to be carried through
    zero_based: bool | None = None  # of an svmlight file: whether its first column is 0
