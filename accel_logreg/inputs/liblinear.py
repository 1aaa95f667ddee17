"""liblinear's intercept: the weight of one more column, a constant, which is penalised like any other.

Fan et al. (2008), LIBLINEAR: A library for large linear classification, https://jmlr.org/papers/v9/fan08a.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.parted_matrix import PartedMatrix


def with_constant(data: TrainingData, parameters: Mapping[str, Any]) -> tuple[TrainingData, dict[str, Any]]:
    """The problem that liblinear solves: X copied with a column of ``intercept_scaling``, and no intercept.

    Raises
    ------
    ValueError
        More than two classes, unless each is fitted against the rest.
    TypeError
        X lies on a GPU.
    """
    if data.n_classes > 2 and parameters["multi_class"] != "ovr":
        raise ValueError(
            "Only binary classification is supported. The type of the target is multiclass, and the "
            "'liblinear' solver does not support multiclass classification (n_classes >= 3). Use "
            "solver='auto', or multi_class='ovr' for one class against the rest"
        )
    own = {**parameters, "solver": "auto"}
    if not parameters["fit_intercept"]:
        return data, own
    X, constant = data.X, parameters["intercept_scaling"]
    if isinstance(X, DeviceMatrix):
        raise TypeError(
            "solver='liblinear' copies X with one more column, on the host, and X lies on a GPU; use "
            "solver='auto', whose intercept is not penalised"
        )
    if isinstance(X, PartedMatrix):
        raise TypeError(
            f"solver='liblinear' copies X with one more column, and {X.where} is read in parts; use "
            "solver='auto', whose intercept is not penalised"
        )
    n, d = X.shape
    own["fit_intercept"] = False
    if isinstance(X, Csr):
        ends: Any = X.indptr[1:]
        values: Any = np.insert(X.data, ends, constant)
        indices: Any = np.insert(X.indices, ends, d)
        indptr: Any = X.indptr + np.arange(n + 1, dtype=X.indptr.dtype)
        return replace(data, X=Csr(values, indices, indptr, (n, d + 1))), own
    dense: Matrix = np.empty((n, d + 1), dtype=X.dtype)
    dense[:, :d], dense[:, d] = X, constant
    return replace(data, X=dense), own


def inward(W: Float64 | None, constant: float) -> Float64 | None:
    """A start (p,) or (K p,) with the intercept last, for X with the constant."""
    return W if W is None else np.append(W[:-1], [W[-1] / constant, 0.0])


def outward(W: Float64, d: int, constant: float) -> Float64:
    """And back: W (K (d + 2),) as (K (d + 1),), for X of d features."""
    wide = W.reshape(-1, d + 2)
    return np.column_stack([wide[:, :d], wide[:, d] * constant]).ravel()
