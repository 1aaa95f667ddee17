"""Rows of the NumPy engine: whole-array expressions over row blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import Descent, RowSample
from accel_logreg.interface.arrays import Csr, Float64, Labels, Matrix
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.kernels.numpy_vectorised import dense as kernels

BLOCK_BYTES = 4 << 20  # float64; smaller blocks fall below the size from which BLAS uses its threads


class NumpyRows(Rows, AmongRows):
    """Dense rows; sparse ones say what differs (csr.py)."""

    def __init__(self, X: Matrix | Csr, y: Labels, sample_weight: Float64 | None) -> None:
        self._s = np.ones(X.shape[0]) if sample_weight is None else sample_weight
        super().__init__((X.shape[0], X.shape[1]), X.dtype, float(self._s.sum()))
        self._X: Any = X
        self._y = y.astype(np.float64, copy=False)

    def around(self, y: Labels, sample_weight: Float64 | None) -> NumpyRows:
        """Rows of another problem over the same X."""
        return type(self)(self._X, y, sample_weight)

    def blocks(self, beside: int = 0, answer_bytes: int = 0) -> Iterator[tuple[slice, Any]]:
        """Row blocks of X as float64; ``beside`` each row there are so many other numbers at a time."""
        return blocks(self._X, beside, answer_bytes)

    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        w, b = W[:-1], float(W[-1])
        loss = 0.0
        gradient = np.zeros_like(W)
        for rows, X in self.blocks():
            block_loss, dw, db = kernels.loss_grad(X, self._y[rows], self._s[rows], self.weight_sum, w, b)
            loss += block_loss
            gradient[:-1] += dw
            gradient[-1] += db
        self._count(1)
        return loss, gradient

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        product = np.zeros_like(W)
        for rows, X in self.blocks():
            dw, db = kernels.hessian_product(
                X, self._s[rows], self.weight_sum, W[:-1], float(W[-1]), V[:-1], float(V[-1])
            )
            product[:-1] += dw
            product[-1] += db
        self._count(1)
        return product

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        costs = np.empty(steps)
        norms = np.empty(steps)
        w, b = W[:-1].copy(), float(W[-1])
        with np.errstate(over="ignore", invalid="ignore"):  # the solver names a rate that diverges
            for k in range(steps):
                loss, gradient = self.loss_grad(np.append(w, b))
                dw = gradient[:-1] + shrink * w
                db = float(gradient[-1]) if fit_intercept else 0.0
                costs[k] = loss + 0.5 * shrink * (w @ w)
                norms[k] = np.sqrt(dw @ dw + db * db)
                w, b = kernels.gradient_descent_step(w, b, dw, db, learning_rate)
        return Descent(np.append(w, b), costs, norms)

    def _largest_entry(self) -> float:
        largest = max(float(self._X.max()), -float(self._X.min()))
        self._count(2)
        return largest

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        longest = 0.0
        for rows, X in self.blocks():
            squares = np.square((X - centre) / scale).sum(axis=1)
            longest = max(longest, float(squares.max(where=self._s[rows] > 0.0, initial=0.0)))
        self._count(1)
        return float(np.sqrt(longest + 1.0))

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        s = self._s if sample is None else self._s[sample.rows] * sample.factors
        H = np.zeros((W.size, W.size))
        step = rows_in_block(self.n_features, H.nbytes)
        for start in range(0, s.size, step):
            block = slice(start, start + step)
            X = self._X[block] if sample is None else self._X[sample.rows[block]]
            X = X.astype(np.float64, copy=False)
            sh = s[block] * kernels.curvature(kernels.linear(X, W[:-1], float(W[-1])))
            H += kernels.hessian(X, sh, centre, scale, precise=precision == "float64")
        self._count(s.size / self.n_rows)
        H /= s.sum()
        return H

    def hessian_diagonal(self, W: Float64) -> Float64:
        diagonal = np.zeros_like(W)
        for rows, X in self.blocks():
            sh = self._s[rows] * kernels.curvature(kernels.linear(X, W[:-1], float(W[-1])))
            diagonal[:-1] += kernels.hessian_diagonal(X, sh)
            diagonal[-1] += sh.sum()
        self._count(1)
        return diagonal / self.weight_sum

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:
        n, d = self.n_rows, self.n_features
        G = np.zeros((n, n))
        step = rows_in_block(n, G.nbytes)  # here a block is of columns
        for start in range(0, d, step):
            columns = slice(start, start + step)
            D = self._X[:, columns].astype(np.float64, copy=False) - centre[columns]
            with np.errstate(over="ignore"):  # infinite in float32: the caller looks for that
                G += kernels.gram(D if precise else D.astype(np.float32))
        self._count(1)
        return G

    def combination(self, a: Float64) -> Float64:
        total = np.zeros(self.n_features)
        for rows, X in self.blocks():
            total += kernels.combination(X, a[rows])
        self._count(1)
        return total

    def logits(self, W: Float64) -> Float64:
        z = np.empty(self.n_rows)
        for rows, X in self.blocks():
            z[rows] = kernels.linear(X, W[:-1], float(W[-1]))
        self._count(1)
        return z

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        entries: Matrix = self._X[rows, columns]
        return entries

    def among_rows(self) -> NumpyRows:
        return self

    def sample(self, picked: RowSample) -> NumpyRows:
        s = self._s[picked.rows] * picked.factors
        sample = NumpyRows(self._X[picked.rows], self._y[picked.rows], s)
        self._share_tally(sample)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> NumpyRows:
        return NumpyRows(np.take(self._X, columns, axis=1), self._y, self._s)


def blocks(X: Matrix, beside: int = 0, answer_bytes: int = 0) -> Iterator[tuple[slice, Float64]]:
    """Row blocks of about BLOCK_BYTES as float64, ``beside`` other numbers a row included.

    Two products with one block cost one read of memory, because the second finds the block in the
    cache; and float32 is widened a block at a time, so sums are float64 and X is never copied whole.
    """
    step = rows_in_block(X.shape[1] + beside, answer_bytes)
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        yield rows, X[rows].astype(np.float64, copy=False)


def rows_in_block(width: int, answer_bytes: int = 0) -> int:
    """How many rows of ``width`` float64 make a block.

    Where each block is added to a whole matrix of answers, blocks are no smaller than the matrix:
    smaller ones would spend their time on adding.
    """
    return max(1, max(BLOCK_BYTES, answer_bytes) // (8 * width))
