"""A Cholesky factor of an approximate Hessian: the inverse that turns gradients into Newton steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg.blas import dtrsv
from scipy.linalg.lapack import dpocon, dpotrf

from accel_logreg.solvers.base import Float64

# In coordinates where the diagonal is about 1, float32 products err by about 1e-7 of it. Eigenvalues
# near that are noise, and steps and decrements along their vectors with them.
_ENOUGH_FOR_FLOAT32 = 1e-4
_FIRST_RIDGE = 1e-15
_ROWS = 32


class Factor:
    """H ≈ L Lᵀ with a ridge as small as the factorisation allows, for a symmetric H (p, p).

    ``rcond`` estimates the reciprocal of H's condition number in the 1-norm, 0 where a ridge was needed.
    """

    def __init__(self, H: Float64) -> None:
        """Takes H over: the factor is written into one triangle of it."""
        diagonal = H.diagonal().copy()
        # Without a second matrix: a few rows at a time, which is quicker than one by one.
        norm = max(float(np.abs(H[i : i + _ROWS]).sum(axis=1).max()) for i in range(0, len(H), _ROWS))
        if not np.isfinite(norm):
            raise FloatingPointError("the Hessian is not finite")
        self.ridge = 0.0
        while True:
            # LAPACK reads columns: of a symmetric matrix they are its rows, so nothing is transposed,
            # and the other triangle keeps H for the next attempt.
            L, info = dpotrf(H.T, lower=1, clean=0, overwrite_a=1)
            if info == 0:
                break
            # Where every row is far on its own side, H underflows to zero.
            self.ridge = max(10.0 * self.ridge, _FIRST_RIDGE * len(H) * norm, np.finfo(np.float64).tiny)
            _restore(H, diagonal + self.ridge)
        self._L = L
        self.rcond = 0.0 if self.ridge else float(dpocon(L, norm, uplo="L")[0])

    def solve(self, g: Float64) -> Float64:
        """H⁻¹ g."""
        # One vector: BLAS's triangular solves read L once each. LAPACK's are made for many.
        x: Float64 = dtrsv(self._L, dtrsv(self._L, g, lower=1), lower=1, trans=1, overwrite_x=1)
        return x


def _restore(H: Float64, diagonal: Float64) -> None:
    """Copy the lower triangle, which LAPACK does not see, over the factor's."""
    for i in range(len(H)):
        H[i, i + 1 :] = H[i + 1 :, i]
    H.flat[:: len(H) + 1] = diagonal


def factorise(hessian: Callable[[bool], Float64]) -> Factor:
    """The factor of ``hessian(precise)``, in float32 where that is enough to trust its inverse."""
    factor = Factor(hessian(False))
    if factor.rcond < _ENOUGH_FOR_FLOAT32 / np.sqrt(len(factor._L)):
        factor = Factor(hessian(True))
    return factor
