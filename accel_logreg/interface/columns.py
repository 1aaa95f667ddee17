"""K columns: K binary problems that share X, every question answered for all of them from one read of it.

One-vs-rest, the folds of a cross-validation and a path over C are such problems. They differ in their
labels (one-vs-rest), in their weights (a fold: 0 takes a row out of one column's problem) or in the point
they are asked about alone (a path). Conventions are those of base.py; here W is (p, K), a column a problem.

What the columns share is X and nothing else. An answer's column k is what ``Rows`` of X, Y[:, k] and the
weights of column k would say, up to the order of the sums: no column moves another, and a NaN in one stays
there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Csr, Float64


@dataclass(frozen=True)
class ColumnLabels:
    """The labels and weights of K columns, checked by ``column_labels``.

    Y : (n, K) int8 of 0 and 1, C-contiguous
    s : None, (n,) or (n, K) float64, C-contiguous: none, one for all columns, or each column's own
    weight_sums : (K,) float64, Σᵢ of each column's weights, positive
    """

    Y: NDArray[np.int8]
    s: Float64 | None
    weight_sums: Float64

    @property
    def n_columns(self) -> int:
        return int(self.Y.shape[1])

    def weights_of_every_column(self) -> Float64:
        """(n, K), a view of what there is where that will do: not to be written to."""
        if self.s is None:
            return np.broadcast_to(1.0, self.Y.shape)
        return np.broadcast_to(self.s[:, np.newaxis] if self.s.ndim == 1 else self.s, self.Y.shape)


class Columns(ABC):
    """K problems over one X in one engine's memory.

    Attributes
    ----------
    n_rows, n_features, n_columns : int
    dtype : numpy.dtype
        Storage of X: float32 or float64. Sums are accumulated in float64 either way.
    weight_sums : (K,) float64
        Sₖ = Σᵢ sᵢₖ, which is n_rows where there are no weights.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[np.float32] | np.dtype[np.float64],
        labels: ColumnLabels,
    ) -> None:
        self.n_rows, self.n_features = shape
        self.n_columns = labels.n_columns
        self.dtype = dtype
        self.weight_sums = labels.weight_sums
        self._reads = 0.0

    @property
    def reads(self) -> float:
        """How often X has been read so far, as in ``Rows``: a read that serves all columns is one read."""
        return self._reads

    def _count(self, reads: float) -> None:
        self._reads += reads

    def loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        """Every column's mean loss (K,) in nats, and its gradient (p, K), at its own W[:, k].

        Raises ValueError where W is not (p, K).
        """
        return self._loss_grad(self._checked("W", W))

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        """Every column's loss Hessian at W[:, k] times V[:, k]: (p, K).

        Raises ValueError where W or V is not (p, K).
        """
        return self._hessian_product(self._checked("W", W), self._checked("V", V))

    @abstractmethod
    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        """As ``loss_grad``, for W (p, K) float64, C-contiguous; the engine counts its reads."""

    @abstractmethod
    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        """As ``hessian_product``, for W and V (p, K) float64, C-contiguous; the engine counts its reads."""

    def _checked(self, name: str, W: Any) -> Float64:
        point: Float64 = np.ascontiguousarray(W, dtype=np.float64)
        expected = (self.n_features + 1, self.n_columns)
        if point.shape != expected:
            raise ValueError(
                f"{name} has shape {point.shape}; it must be (p, K) = {expected}: a column a problem, its "
                f"{self.n_features} weights and then its intercept"
            )
        return point


def column_labels(n: int, Y: Any, weights: Any | None) -> ColumnLabels:
    """Labels and weights for n rows, checked.

    Parameters
    ----------
    Y : (n, K) of 0 and 1, of booleans or numbers, K ≥ 1
    weights : None, (n,) or (n, K), finite and not negative, with a positive one in every column

    Raises
    ------
    ValueError
        One of them is not as said; the message names what is there and what is allowed.
    """
    Y = np.asarray(Y)
    if Y.ndim != 2 or Y.shape[0] != n or Y.shape[1] == 0:
        raise ValueError(
            f"Y has shape {Y.shape}; it must be (n, K) with n = {n} rows as X has and K ≥ 1 columns, one a "
            "problem. A single problem's y is Y = y[:, np.newaxis]"
        )
    zero_or_one = (Y == 0) | (Y == 1)
    if not zero_or_one.all():
        i, k = np.argwhere(~zero_or_one)[0]
        raise ValueError(
            f"Y[{i}, {k}] is {Y[i, k]}; labels are 0 and 1. One-vs-rest labels of classes c are "
            "Y = (y[:, np.newaxis] == c)"
        )
    labels = np.ascontiguousarray(Y, dtype=np.int8)
    if weights is None:
        return ColumnLabels(labels, None, np.full(Y.shape[1], float(n)))
    s: Float64 = np.ascontiguousarray(weights, dtype=np.float64)
    if s.shape not in ((n,), Y.shape):
        raise ValueError(
            f"weights have shape {s.shape}; allowed: None, ({n},) for weights that all columns share, or "
            f"{Y.shape} for each column's own"
        )
    wrong = ~(np.isfinite(s) & (s >= 0.0))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"weights[{', '.join(map(str, place))}] is {s[place]}; weights are finite and not negative, and "
            "0 takes a row out of a column's problem"
        )
    sums: Float64 = np.broadcast_to(s.sum(axis=0), Y.shape[1:]).copy()
    empty = np.flatnonzero(~(sums > 0.0))
    if len(empty):
        some = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
        raise ValueError(
            f"the weights of column {some} of Y are all 0: a problem without rows has no answer. Leave the "
            "column out, or give one of its rows a positive weight"
        )
    if not np.isfinite(sums).all():
        raise ValueError("the weights of a column add up to infinity; divide them by their largest")
    return ColumnLabels(labels, s, sums)


def refuse_sparse(engine: str, X: Csr) -> NoReturn:
    """Raise TypeError: this engine answers K columns for dense X alone."""
    raise TypeError(
        f"X of shape {X.shape} is sparse (CSR), and backend={engine!r} answers K columns for dense X alone. "
        "Use backend='numpy', which takes CSR; ask column by column through rows(); or pass X.toarray(), "
        "where it fits in memory"
    )
