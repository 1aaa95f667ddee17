"""K classes as rows of one problem: the softmax across K columns of W, and what is alike in every engine.

W and V are (p, K), a class a column, the intercepts last. With z = X W[:d] + W[d] and a = softmax(z), a row's
loss is ℓ = log Σₖ e^zₖ − z_y, its slope a − e_y, its curvature diag(a) − a aᵀ (Böhning 1992). The same number
added to all classes' weights changes no probability: along that direction J is flat.

Unknowns of a matrix are counted class by class: class k has those from k p to (k + 1) p.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import ColumnMoments, Descent, RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.rows import AmongRows, Precision, Rows
from accel_logreg.interface.targets import ClassTargets

Around = Callable[[Rows, NDArray[Any], Float64 | None], Rows]


def softmax(z: Float64) -> Float64:
    """aᵢₖ = e^zᵢₖ/Σₘ e^zᵢₘ for z (n, K): the largest logit is taken off first, so that nothing overflows."""
    a = np.exp(z - z.max(axis=1, keepdims=True))
    a /= a.sum(axis=1, keepdims=True)
    return np.asarray(a)


def rest(a: Float64) -> Float64:
    """1 − aᵢₖ for a (n, K): of each row's likeliest class as the sum of the others, for where a rounds to 1
    the difference is 0.
    """
    left, others, likeliest = 1.0 - a, a.copy(), (np.arange(len(a)), a.argmax(axis=1))
    others[likeliest] = 0.0
    left[likeliest] = others.sum(axis=1)
    return left


def in_blocks(K: int, p: int, pairs: NDArray[Any], grams: Float64) -> Float64:
    """The Hessian (K p, K p) of the sums over each two classes, (pairs, p, p): Σ sᵢ aᵢₖaᵢₘ x̂ᵢx̂ᵢᵀ.

    A class's own block is the sum of its products with the others', as a(1 − a) is of aₖaₘ: so it keeps its
    digits where a rounds to 1.
    """
    H, first, second = np.zeros((K, p, K, p)), pairs[:, 0], pairs[:, 1]
    H[first, :, second] = H[second, :, first] = -grams
    each = np.arange(K)
    H[each, :, each] = -H.sum(axis=2)
    return H.reshape(K * p, K * p)


class ClassRows(Rows):
    """Rows of one problem of K classes, over the X that ``rows`` of any problem hold.

    ``loss_grad`` and ``hessian_product`` are each engine's own. The other questions are put here to rows of
    two classes over the same X, with weights: Σ cᵢ x̂ᵢ x̂ᵢᵀ is a Hessian at zero, where all curvatures are 1/4.
    """

    targets: ClassTargets

    def __init__(self, rows: Rows, targets: ClassTargets, around: Around) -> None:
        """``around(rows, y, s)`` makes rows of two classes over the X of ``rows``."""
        super().__init__((rows.n_rows, rows.n_features), rows.dtype, targets.weight_sum)
        self.sparse, self.entries, self.nbytes = rows.sparse, rows.entries, rows.nbytes
        self.pairs = rows.pairs
        self._rows, self._around, self.targets = rows, around, targets
        self.n_classes = targets.n_classes

    def _over(self, rows: Rows, targets: ClassTargets) -> ClassRows:
        """Rows like these over the X of ``rows``."""
        return type(self)(rows, targets, self._around)

    def two_classes(self) -> Rows:
        """The same rows and weights with labels of two classes, for questions that no label matters to."""
        return self._asked() if self.targets.s is None else self._weighted(self.targets.s)

    def _asked(self) -> Rows:
        rows = self._rows
        rows._tally, rows._share = self._tally, self._share
        return rows

    def _weighted(self, c: Float64) -> Rows:
        """The rows of X with weights c (n,)."""
        rows = self._around(self._rows, np.zeros(self.n_rows, dtype=np.int8), np.ascontiguousarray(c))
        rows._tally, rows._share = self._tally, self._share
        return rows

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        W = W.copy()
        costs, norms = np.empty((2, steps))
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging cost is an answer
            for k in range(steps):
                loss, gradient = self.loss_grad(W)
                gradient[:-1] += shrink * W[:-1]
                if not fit_intercept:
                    gradient[-1] = 0.0
                costs[k] = loss + 0.5 * shrink * float(np.vdot(W[:-1], W[:-1]))
                norms[k] = np.linalg.norm(gradient)
                W -= learning_rate * gradient
        return Descent(W, costs, norms)

    def standardised_sample(
        self,
        picked: RowSample | None,  # noqa: ARG002
        centre: Float64,  # noqa: ARG002
        scale: Float64,  # noqa: ARG002
    ) -> ClassRows | None:
        """A copy of the picked rows, or of all, as ((x − centre)/scale, 1), rounded to float32: it steers.

        None where the engine has none; its columns are the coordinates u of problem/coordinates.py.
        """
        return None

    def probabilities(self, W: Float64) -> Float64:
        """a (n, K). One read."""
        return softmax(self.logits(W))

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        """As in ``Rows``, of all classes' unknowns: (K p, K p). For small K p."""
        rows = self if sample is None else self.sample(sample)
        K, p, a = self.n_classes, self.n_features + 1, rows.probabilities(W)
        pairs = np.array([(k, m) for k in range(K) for m in range(k)])
        grams = [rows._gram_of(a[:, k] * a[:, m], centre, scale, precision) for k, m in pairs]
        return in_blocks(K, p, pairs, np.array(grams))

    def kronecker_factors(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
    ) -> tuple[Float64, Float64]:
        """A (K, K) and G (p, p) whose Kronecker product stands for the loss Hessian, class by class.

        With cᵢ = 1 − Σₖ aᵢₖ², the trace of a row's curvature: G = (1/S) Σ sᵢ cᵢ x̂ᵢx̂ᵢᵀ, rounded to float32,
        and A = Σ sᵢ (diag(aᵢ) − aᵢaᵢᵀ)/Σ sᵢcᵢ. Exact where all rows have the same a.
        """
        rows = self if sample is None else self.sample(sample)
        a, s = rows.probabilities(W), rows.targets.s
        weighted = a if s is None else a * s[:, np.newaxis]
        A = -(weighted.T @ a)
        left = rest(a)
        np.fill_diagonal(A, np.einsum("ik,ik->k", weighted, left))
        left *= a
        return A / np.trace(A), rows._gram_of(left.sum(axis=1), centre, scale, "float32")

    def _gram_of(self, c: Float64, centre: Float64, scale: Float64, precision: Precision) -> Float64:
        """(1/S) Σ sᵢ cᵢ x̂ᵢ x̂ᵢᵀ for c (n,) of 0 or above: (p, p)."""
        s = self.targets.s
        c = c if s is None else s * c
        total = float(c.sum())
        if total == 0.0:
            return np.zeros((self.n_features + 1, self.n_features + 1))
        H = self._weighted(c).hessian(np.zeros(self.n_features + 1), centre, scale, precision=precision)
        return np.asarray(H * (4.0 * total / self.weight_sum))

    def hessian_diagonal(self, W: Float64) -> Float64:
        """(1/S) Σ sᵢ aᵢₖ(1 − aᵢₖ) x̃ᵢⱼ²: (p, K)."""
        return self.curvature_sums(W)[0]

    def curvature_sums(self, W: Float64) -> tuple[Float64, Float64]:
        """The diagonal of the loss Hessian, (p, K), and (1/S) Σ sᵢ aᵢₖ(1 − aᵢₖ) xᵢⱼ, (d, K)."""
        a = self.probabilities(W)
        a *= rest(a)
        if self.targets.s is not None:
            a *= self.targets.s[:, np.newaxis]
        totals = a.sum(axis=0)
        squares, sums = np.zeros(W.shape), np.zeros(W.shape)
        origin, last = np.zeros((2, len(W)))
        last[-1] = 1.0
        for k in np.flatnonzero(totals > 0.0):
            rows, factor = self._weighted(a[:, k]), 4.0 * totals[k] / self.weight_sum
            squares[:, k] = factor * rows.hessian_diagonal(origin)
            sums[:, k] = factor * rows.hessian_product(origin, last)
        return squares, sums[:-1]

    def intercept_hessian(self, W: Float64) -> Float64:
        """(1/S) Σ sᵢ (diag(aᵢ) − aᵢaᵢᵀ), (K, K): the second derivative by the intercepts. One read."""
        a = self.probabilities(W)
        weighted = a if self.targets.s is None else a * self.targets.s[:, np.newaxis]
        H = -(weighted.T @ a)
        np.fill_diagonal(H, (weighted * rest(a)).sum(axis=0))
        return np.asarray(H / self.weight_sum)

    def _largest_entry(self) -> float:
        return self._asked().largest_entry()

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        return self.two_classes().longest_row(centre, scale)

    def among_rows(self) -> AmongRows | None:
        return self._asked().among_rows()

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        return self._asked().take(rows, columns)

    def column_moments(self, *, centred: bool) -> ColumnMoments:
        return super().column_moments(centred=centred)

    def logits(self, W: Float64) -> Float64:
        return np.stack([self._asked().logits(W[:, k].copy()) for k in range(self.n_classes)], axis=1)

    def sample(self, picked: RowSample) -> ClassRows:
        targets = self.targets.of_sample(picked.rows, picked.factors)
        sample = self._over(self._asked().sample(picked), targets)
        self._share_tally(sample)
        sample._count(-1.0)  # the rows have counted the copy
        return sample

    def _restricted(self, columns: NDArray[np.intp]) -> ClassRows:
        return self._over(self._asked()._restricted(columns), self.targets)
