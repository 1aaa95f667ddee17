"""K problems that share X, as rows: what is alike in every engine, and columns that are asked one by one.

An answer's column k is what rows of X, Y[:, k] and the weights of column k would say, up to the order of the
sums: no column moves another, and a NaN in one stays there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import ColumnMoments, Descent, RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.interface.targets import Targets


class ColumnRows(Rows):
    """Rows of K problems. An engine answers ``_loss_grad`` and ``_hessian_product`` in one read for all.

    Other questions are put to one column after the other, each as rows of the same X.
    """

    shared_reads = True  # whether one read of X serves all columns
    memory_order: Literal["C", "F"] = "C"  # of points and answers: what this engine takes without a copy
    n_columns: int
    weight_sum: Float64  # type: ignore[assignment]  # every column's

    def __init__(self, X: Rows | Any, targets: Targets) -> None:
        """Over X (n, d): an array, or rows that hold one, whose own labels do not matter."""
        n, d = (X.n_rows, X.n_features) if isinstance(X, Rows) else X.shape
        super().__init__((int(n), int(d)), np.dtype(X.dtype), targets.weight_sum)
        if isinstance(X, Rows):
            self.sparse, self.entries, self.nbytes = X.sparse, X.entries, X.nbytes
        self.n_columns = targets.n_columns
        self.targets = targets

    @abstractmethod
    def column(self, k: int) -> Rows:
        """Column k as rows of its own over the same X, which count into this tally."""

    @abstractmethod
    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        """As ``loss_grad``, for W (p, K) float64 in ``memory_order``; the engine counts its reads."""

    @abstractmethod
    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        """As ``hessian_product``, for W and V as there; the engine counts its reads."""

    def _around(self, rows: Rows, targets: Targets) -> ColumnRows:
        """Columns like these over the X that ``rows`` hold."""
        return type(self)(rows, targets)

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

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        """As in ``Rows``; costs and gradient norms are (steps, K)."""
        W = self._checked("W", W).copy(order="K")
        costs, norms = np.empty((2, steps, self.n_columns))
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging cost is an answer
            for k in range(steps):
                losses, gradient = self._loss_grad(W)
                gradient[:-1] += shrink * W[:-1]
                if not fit_intercept:
                    gradient[-1] = 0.0
                costs[k] = losses + 0.5 * shrink * np.einsum("jk,jk->k", W[:-1], W[:-1])
                norms[k] = np.sqrt(np.einsum("jk,jk->k", gradient, gradient))
                W -= learning_rate * gradient
        return Descent(W, costs, norms)

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        """As in ``Rows``, a matrix a column: (p, p, K)."""
        W = self._checked("W", W)
        return self._stacked(
            lambda rows, k: rows.hessian(W[:, k].copy(), centre, scale, sample=sample, precision=precision)
        )

    def hessian_diagonal(self, W: Float64) -> Float64:
        W = self._checked("W", W)
        return self._stacked(lambda rows, k: rows.hessian_diagonal(W[:, k].copy()))

    def hessian_last(self, W: Float64) -> Float64:
        """The last column of every column's loss Hessian at W[:, k]: Σ sᵢ hᵢ x̃ᵢ/S, (p, K)."""
        V = np.zeros_like(W)
        V[-1] = 1.0
        return self.hessian_product(W, V)

    def logits(self, W: Float64) -> Float64:
        W = self._checked("W", W)
        return self._stacked(lambda rows, k: rows.logits(W[:, k].copy()))

    def _largest_entry(self) -> float:
        return self._asked(0).largest_entry()

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        return self._asked(0).take(rows, columns)

    def column_moments(self, *, centred: bool) -> ColumnMoments:
        """As in ``Rows``; a row's weight is that of all columns together."""
        return super().column_moments(centred=centred)

    def sample(self, picked: RowSample) -> ColumnRows:
        targets = self.targets.of_sample(picked.rows, picked.factors)
        sample = self._around(self._asked(0).sample(picked), targets)
        self._share_tally(sample)
        sample._count(-1.0)  # the column has counted the copy
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> ColumnRows:
        return self._around(self._asked(0)._restricted(columns), self.targets)

    def among_rows(self) -> AmongRows | None:
        return self._asked(0).among_rows()

    def around(self, targets: Targets) -> ColumnRows:
        """Other problems over the same X, which is not copied; they count into this tally."""
        rows = self._around(self._asked(0), targets)
        rows._tally, rows._share, rows.rates = self._tally, self._share, self.rates
        return rows

    def only(self, columns: NDArray[np.intp]) -> ColumnRows:
        """These columns alone, over the same X; they count into this tally."""
        return self.around(self.targets.only(columns))

    def problem(self, k: int) -> Rows:
        """Column k as ``Engine.place`` would have made it, over the same X; it counts into this tally."""
        return self._asked(k).placed(self.targets.column(k), self.rates)

    def _asked(self, k: int) -> Rows:
        rows = self.column(k)
        rows._tally, rows._share = self._tally, self._share
        rows.sparse, rows.entries, rows.nbytes = self.sparse, self.entries, self.nbytes
        return rows

    def _stacked(self, ask: Callable[[Rows, int], Float64]) -> Float64:
        return np.stack([ask(self._asked(k), k) for k in range(self.n_columns)], axis=-1)

    def _checked(self, name: str, W: Any) -> Float64:
        point: Float64 = np.asarray(W, dtype=np.float64, order=self.memory_order)
        expected = (self.n_features + 1, self.n_columns)
        if point.shape != expected:
            raise ValueError(
                f"{name} has shape {point.shape}; it must be (p, K) = {expected}: a column a problem, its "
                f"{self.n_features} weights and then its intercept"
            )
        return point


class OneByOne(ColumnRows):
    """Columns asked one after the other, a read each: where an engine has no kernels for several at once."""

    shared_reads = False

    def __init__(self, rows: Rows, targets: Targets, around: Callable[[Rows, Targets], Rows]) -> None:
        """``around`` makes rows of one problem over the X that ``rows`` hold."""
        super().__init__(rows, targets)
        self._rows, self._around_rows = rows, around

    def column(self, k: int) -> Rows:
        return self._around_rows(self._rows, self.targets.column(k))

    def _around(self, rows: Rows, targets: Targets) -> ColumnRows:
        return OneByOne(rows, targets, self._around_rows)

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        answers = [self._asked(k).loss_grad(W[:, k].copy()) for k in range(self.n_columns)]
        return np.array([loss for loss, _ in answers]), np.stack([g for _, g in answers], axis=-1)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        return self._stacked(lambda rows, k: rows.hessian_product(W[:, k].copy(), V[:, k].copy()))
