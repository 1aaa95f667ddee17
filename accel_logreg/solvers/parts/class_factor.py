"""The inverse of a softmax's Hessian as a Kronecker product: what conditions its products.

No matrix of (K p)² numbers is made. A row's curvature is Aᵢ = diag(a) − a aᵀ across the classes, and the
Hessian Σ sᵢ Aᵢ ⊗ x̂ᵢx̂ᵢᵀ/S. With the mean of the Aᵢ in place of each, and the rows weighed by their traces,
it is A ⊗ G; in the eigenvectors of A the classes come apart, each with a matrix θ G + diag(penalty). A is
the Laplacian of the graph of classes that are taken for each other, whose small eigenvalues a factor of each
class's own block does not see: on 20,000 x 784 with 10 classes such factors took 132 products where these
take 6. Böhning (1992) bounds the Hessian by such a product; this one is no bound, and nearer.
"""

from __future__ import annotations

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.parts.factor import Factor

_SINGLE = 400  # unknowns from which factors are float32
_ALIKE = 1.6  # eigenvalues of A within this factor share one
_LEAST = 1e-6  # of their mean: below, the classes have too few rows in a sample to tell


class KroneckerInverse:
    """(A ⊗ G + I ⊗ diag(penalty))⁻¹; the intercept, last, is eliminated first."""

    def __init__(self, A: Float64, G: Float64, penalty: Float64) -> None:
        """A (K, K) and G (p, p), symmetric; penalty (p,), 0 for an intercept.

        Along the direction that is the same for all classes, where A is 0, no gradient has anything.
        """
        thetas, self._classes = np.linalg.eigh(A)
        mean = max(float(thetas.mean()), float(np.finfo(np.float64).tiny))
        self._thetas = np.maximum(thetas, _LEAST * mean)
        self._curvature = float(G[-1, -1]) + float(penalty[-1])
        if not self._curvature > 0.0:
            self._curvature = 1.0
        self._mean = G[:-1, -1] / self._curvature
        G = G[:-1, :-1] - np.outer(self._mean, self._mean * self._curvature)
        G = G.astype(np.float32 if len(G) >= _SINGLE else np.float64)
        diagonal = np.arange(len(G))
        self._factors: list[tuple[slice, Factor]] = []
        first = 0
        while first < len(thetas):
            least = self._thetas[first]
            beyond = int(np.searchsorted(self._thetas, _ALIKE * least, side="right"))
            H = G * G.dtype.type(np.sqrt(least * self._thetas[beyond - 1]))
            H[diagonal, diagonal] += penalty[:-1]
            self._factors.append((slice(first, beyond), Factor(H)))
            first = beyond

    def solve(self, g: Float64) -> Float64:
        turned = self._classes.T @ g.reshape(len(self._thetas), -1)
        x = np.empty_like(turned)
        right = turned[:, :-1] - np.outer(turned[:, -1], self._mean)
        for part, factor in self._factors:
            x[part, :-1] = factor.solve_each(right[part])
        x[:, -1] = turned[:, -1] / (self._thetas * self._curvature) - x[:, :-1] @ self._mean
        return np.asarray(self._classes @ x).ravel()
