"""A Cholesky factor of an approximate Hessian: the inverse that turns gradients into Newton steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv, strsv
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs, spotrf, spotrs

from accel_logreg.interface.answers import LowPrecisionHessian
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision

# In coordinates where the diagonal is about 1, float32 products err by about 1e-7 of it. Eigenvalues
# near that are noise, and steps and decrements along their vectors with them.
_ENOUGH_FOR_FLOAT32 = 1e-4
# From products of few bits the error along an eigenvector of eigenvalue λ is about 2 √(noise p/m / λ) of
# λ, where the diagonal is 1. With λ so many times the noise it is a quarter of √(p/m), which is what the
# m rows of a sample err by anyway.
_ABOVE_THE_NOISE = 50.0
_STEPS_TO_THE_SMALLEST = 6
_FIRST_RIDGE = 4.0  # roundings
_ROWS = 32


class Factor:
    """H ≈ L Lᵀ with a ridge as small as the factorisation allows, for a symmetric H (p, p).

    float32 or float64, as H is. ``ridge`` is 0 where none was needed.
    """

    def __init__(self, H: NDArray[Any]) -> None:
        """Takes H over: the factor is written into one triangle of it."""
        self.size = len(H)
        diagonal = H.diagonal().copy()
        # Without a second matrix: a few rows at a time, which is quicker than one by one.
        self._norm = max(float(np.abs(H[i : i + _ROWS]).sum(axis=1).max()) for i in range(0, len(H), _ROWS))
        if not np.isfinite(self._norm):
            raise FloatingPointError("the Hessian is not finite")
        self.ridge = 0.0
        single = H.dtype == np.float32
        potrf = spotrf if single else dpotrf
        self._trsv: Callable[..., NDArray[Any]] = strsv if single else dtrsv
        self._potrs = spotrs if single else dpotrs
        first = max(_FIRST_RIDGE * np.finfo(H.dtype).eps * len(H) * self._norm, np.finfo(H.dtype).tiny)
        while True:
            # LAPACK reads columns: of a symmetric matrix they are its rows, so nothing is transposed,
            # and the other triangle keeps H for the next attempt.
            L, info = potrf(H.T, lower=1, clean=0, overwrite_a=1)
            if info == 0:
                break
            # Where every row is far on its own side, H underflows to zero.
            self.ridge = max(10.0 * self.ridge, float(first))
            _restore(H, diagonal + self.ridge)
        self._L = L

    def solve(self, g: Float64) -> Float64:
        """H⁻¹ g."""
        # One vector: BLAS's triangular solves read L once each. LAPACK's are made for many.
        x = self._trsv(self._L, g, lower=1)
        x = self._trsv(self._L, x, lower=1, trans=1, overwrite_x=1)
        return np.asarray(x, dtype=np.float64)

    def solve_each(self, G: Float64) -> Float64:
        """H⁻¹ g for every row g of G (k, p): (k, p)."""
        if len(G) == 1:
            return self.solve(G[0])[np.newaxis]
        x, _ = self._potrs(self._L, G.T.astype(self._L.dtype, order="F"), lower=1, overwrite_b=1)
        return np.asarray(x.T, dtype=np.float64)

    def rcond(self) -> float:
        """An estimate of the reciprocal of H's condition number in the 1-norm, 0 where a ridge was needed.

        Of a float64 factor only.
        """
        return 0.0 if self.ridge else float(dpocon(self._L, self._norm, uplo="L")[0])

    def smallest_eigenvalue(self) -> float:
        """H's, from above, by a few steps of inverse iteration; 0 where a ridge was needed."""
        if self.ridge:
            return 0.0
        x = np.cos(np.arange(1.0, self.size + 1.0))  # a direction that no eigenvector has reason to avoid
        growth = 1.0
        for _ in range(_STEPS_TO_THE_SMALLEST):
            x /= np.linalg.norm(x)
            x = self.solve(x)
            growth = float(np.linalg.norm(x))
        return 1.0 / growth


def _restore(H: NDArray[Any], diagonal: NDArray[Any]) -> None:
    """Copy the lower triangle, which LAPACK does not see, over the factor's."""
    for i in range(len(H)):
        H[i, i + 1 :] = H[i + 1 :, i]
    H.flat[:: len(H) + 1] = diagonal


def low_precision_factor(found: LowPrecisionHessian | None) -> Factor | None:
    """The factor of a Hessian from products of few bits; None where these are not enough for it."""
    if found is None or not np.isfinite(found.matrix.diagonal()).all():  # a penalty may be beyond float32
        return None
    largest = float(found.matrix.diagonal().max())
    factor = Factor(found.matrix)
    enough = factor.smallest_eigenvalue() >= _ABOVE_THE_NOISE * found.noise * largest
    return factor if enough else None


def factorise(hessian: Callable[[Precision], Float64]) -> Factor:
    """The factor of ``hessian(precision)``, in float32 where that is enough to trust its inverse."""
    factor = Factor(hessian("float32"))
    if factor.rcond() < _ENOUGH_FOR_FLOAT32 / math.sqrt(factor.size):
        factor = Factor(hessian("float64"))
    return factor
