"""Sparse X as it is fitted: without columns that store nothing, and with far ones moved near zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Csr, Float64

_ENTRIES_A_COLUMN = 4.0  # from which few columns are empty, and looking for them costs more than they do
_MOST_USED = 0.8  # of the columns: with more, a copy of their numbers is not worth it
_ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class CsrColumns:
    """How the columns of ``X`` come from those that were given.

    d : int
        Columns that were given.
    used : (k,) intp or None
        Those that X has, in order; None for all. The others store nothing, and at the optimum of any
        penalty their weight is 0.
    shift : (k,) float64 or None
        What was subtracted from each of X's; b takes it up.
    """

    X: Csr
    d: int
    used: NDArray[np.intp] | None = None
    shift: Float64 | None = None

    @classmethod
    def of(cls, X: Csr, *, fit_intercept: bool) -> CsrColumns:
        d, used = X.shape[1], None
        if len(X.data) < _ENTRIES_A_COLUMN * d:
            stored = np.zeros(d, dtype=np.bool_)
            stored[X.indices] = True
            found = np.flatnonzero(stored)
            if 0 < len(found) < _MOST_USED * d:
                names = np.zeros(d, dtype=X.indices.dtype)
                names[found] = np.arange(len(found))
                used, X = found, Csr(X.data, names[X.indices], X.indptr, (X.shape[0], len(found)))
        shift = X.far_columns() if fit_intercept else None
        return cls(X if shift is None else X.shifted(shift), d, used, shift)

    def __str__(self) -> str:
        parts = []
        if self.used is not None:
            parts.append(f"{self.d - len(self.used)} sparse columns store nothing: left out")
        if self.shift is not None:
            parts.append(f"{np.count_nonzero(self.shift)} sparse columns lie far from zero: moved in a copy")
        return "; ".join(parts)

    def inward(self, W: Float64) -> Float64:
        """W (d + 1,) of the given columns for those of X; (d + 1, K) where none was moved."""
        if self.used is not None:
            W = np.concatenate([W[:-1][self.used], W[-1:]])
        return W if self.shift is None else np.append(W[:-1], W[-1] + self.shift @ W[:-1])

    def outward(self, W: Float64) -> Float64:
        """And back."""
        if self.shift is not None:
            W = np.append(W[:-1], W[-1] - self.shift @ W[:-1])
        if self.used is None:
            return W
        given = np.zeros((self.d + 1, *W.shape[1:]))
        given[self.used], given[-1] = W[:-1], W[-1]
        return given

    def rounding(self, W: Float64) -> float:
        """What rounding of b may do to a logit, for W outward; 0 where nothing was moved."""
        if self.shift is None:
            return 0.0
        moved = self.shift * (W[:-1] if self.used is None else W[:-1][self.used])
        return float(2.0 * _ROUNDING * (abs(W[-1]) + np.abs(moved).sum()))

    def unused(self, W: Float64) -> Float64:
        """The weights of W (d + 1,) for columns that store nothing."""
        return W[:0] if self.used is None else np.delete(W[:-1], self.used)
