"""Compressed sparse rows in the NumPy engine: the same formulas, their products by SciPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from accel_logreg.backends.numpy_vectorised.dense import NumpyRows, rows_in_block
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr, Float64, Labels, Matrix
from accel_logreg.interface.rows import Precision, Rows
from accel_logreg.kernels.numpy_vectorised import dense as kernels
from accel_logreg.kernels.numpy_vectorised.columns import linear
from accel_logreg.kernels.python_loop.csr import refuse_centre

# A block's entries, and the float64 copy of float32 ones, stay in the cache.
BLOCK_ENTRIES = 1 << 18

# SciPy takes this much longer for a product of two entries than BLAS, which multiplies the zeros too.
_SPARSE_PRODUCT = 100


class NumpyCsrRows(NumpyRows):
    def __init__(self, X: Csr, y: Labels, sample_weight: Float64 | None) -> None:
        super().__init__(X, y, sample_weight)
        self._matrix: Any = csr_array((X.data, X.indices, X.indptr), shape=X.shape)  # the same arrays
        self._parts = list(_parts(X))
        self.sparse, self.entries, self.nbytes = True, len(X.data), X.nbytes
        self.pairs = X.pairs

    def blocks(self, beside: int = 0, answer_bytes: int = 0) -> Iterator[tuple[slice, Any]]:  # noqa: ARG002
        for rows, X in self._parts:
            yield rows, X.astype(np.float64, copy=False)

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        return Rows.take(self, rows, columns)

    def _largest_entry(self) -> float:
        data = self._matrix.data
        largest = max(float(data.max(initial=0.0)), -float(data.min(initial=0.0)))
        self._count(2)
        return largest

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        self._count(1)
        return float(self._X.longest_row(self._s, centre, scale))

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        if centre.any():
            refuse_centre(centre.tolist())
        s = self._s if sample is None else self._s[sample.rows] * sample.factors
        H = np.zeros((W.size, W.size))
        sparse = self.pairs * _SPARSE_PRODUCT < self.n_rows * float(self.n_features) ** 2
        step = rows_in_block(max(1, self.entries // self.n_rows) if sparse else self.n_features, H.nbytes)
        for start in range(0, s.size, step):
            block = slice(start, start + step)
            X = self._matrix[block if sample is None else sample.rows[block]].astype(np.float64, copy=False)
            sh = s[block] * kernels.curvature(kernels.linear(X, W[:-1], float(W[-1])))
            if sparse:
                H += _sparse_hessian(X, sh, scale)
            else:
                H += kernels.hessian(X.toarray(), sh, centre, scale, precise=precision == "float64")
        self._count(s.size / self.n_rows)
        H /= s.sum()
        return H

    def hessian_diagonal(self, W: Float64) -> Float64:
        diagonal = np.zeros_like(W)
        for rows, X in self.blocks():
            sh = self._s[rows] * kernels.curvature(kernels.linear(X, W[:-1], float(W[-1])))
            diagonal[:-1] += sh @ X.power(2)
            diagonal[-1] += sh.sum()
        self._count(1)
        return diagonal / self.weight_sum

    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:  # noqa: ARG002
        """Holds copies of X and of its transpose meanwhile."""
        if centre.any():
            refuse_centre(centre.tolist())
        X = self._matrix.astype(np.float64, copy=False)
        columns = X.T.tocsr()
        K = np.empty((self.n_rows, self.n_rows))
        for rows, block in self.blocks():
            K[rows] = (block @ columns).toarray()
        self._count(1)
        return K

    def sample(self, picked: RowSample) -> NumpyCsrRows:
        X = self._matrix[picked.rows]
        sample = NumpyCsrRows(
            Csr(X.data, X.indices, X.indptr, (picked.rows.size, self.n_features)),
            self._y[picked.rows],
            self._s[picked.rows] * picked.factors,
        )
        self._share_tally(sample)
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> NumpyCsrRows:
        X = self._matrix[:, columns]
        X.sort_indices()
        return NumpyCsrRows(Csr(X.data, X.indices, X.indptr, X.shape), self._y, self._s)


def logits(X: Csr, W: Float64) -> Float64:
    """z = X W[:d] + W[d]: (m,), or (m, K)."""
    z = np.empty((X.shape[0], *W.shape[1:]))
    for rows, block in _parts(X):
        z[rows] = linear(block.astype(np.float64, copy=False), W[:-1], W[-1])
    return z


def _parts(X: Csr) -> Iterator[tuple[slice, Any]]:
    """Blocks of rows of about BLOCK_ENTRIES nonzeros, views of X's arrays."""
    n, d = X.shape
    start = 0
    while start < n:
        stop = int(np.searchsorted(X.indptr, int(X.indptr[start]) + BLOCK_ENTRIES, side="right")) - 1
        stop = min(n, max(stop, start + 1))
        lo, hi = int(X.indptr[start]), int(X.indptr[stop])
        arrays = (X.data[lo:hi], X.indices[lo:hi], X.indptr[start : stop + 1] - X.indptr[start])
        yield slice(start, stop), csr_array(arrays, shape=(stop - start, d))
        start = stop


def _sparse_hessian(X: Any, sh: Float64, scale: Float64) -> Float64:
    """Σ sᵢ hᵢ x̂ᵢ x̂ᵢᵀ with x̂ = (x/scale, 1), as kernels.hessian, by products of the nonzeros alone."""
    d = X.shape[1]
    H = np.empty((d + 1, d + 1))
    data = X.data / scale[X.indices]
    H[:d, d] = H[d, :d] = sh @ csr_array((data, X.indices, X.indptr), shape=X.shape)
    H[d, d] = sh.sum()
    data *= np.repeat(np.sqrt(sh), np.diff(X.indptr))
    root = csr_array((data, X.indices, X.indptr), shape=X.shape)
    H[:d, :d] = (root.T @ root).toarray()
    return H
