"""The likelihood without a penalty as statistics ask for it: score, observed information, sums of scores.

Parameters are u (Q, q) in the coordinates x̂ = (1, (x − centre)/scale) of problem/coordinates.py, the
intercept first and absent without one. Q is 1 for two classes, of which the second speaks, and K − 1 for a
softmax, whose classes are told as differences from the first: its own weights are 0, so that the information
is regular.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotrf
from scipy.special import expit

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.classes import rest, softmax
from accel_logreg.interface.rows import Rows
from accel_logreg.problem.coordinates import column_scales
from accel_logreg.problem.objective import Objective

_BLOCK = 1 << 16  # entries of the scores of a block of rows
# Of a column's information, what the columns before it leave: 1 − R². Sums of squares in float64 know no
# less.
_ALIASED = 1e-11

Take = Callable[[NDArray[np.intp]], Float64]  # rows of X as they are held, dense
Reweighted = Callable[[Float64], Rows]  # rows of two classes over the same X, with weights (n,)


class AliasedError(Exception):
    """The information is singular: what these parameters (of q) tell, those before them tell already."""

    def __init__(self, parameters: list[int]) -> None:
        super().__init__(parameters)
        self.parameters = parameters


class Likelihood:
    """The mean loss of ``objective``, which has no penalty.

    take, reweighted
        What hands out some of the rows, and what makes rows of the same X with other weights.
    shift : (d,) or None
        What was subtracted from columns of X before they came to the engine.
    offset : (n,) or None
        What the objective's logits have added, of two classes.
    """

    def __init__(
        self,
        objective: Objective,
        take: Take,
        reweighted: Reweighted,
        shift: Float64 | None = None,
        offset: Float64 | None = None,
    ) -> None:
        self.objective, self.rows = objective, objective.rows
        self._take, self._reweighted, self._offset = take, reweighted, offset
        d = self.rows.n_features
        if objective.sparse:  # a centre would fill zeros; the intercept's elimination does the same
            self._centre, self.scale = np.zeros(d), np.ones(d)
        else:
            self._centre, self.scale = column_scales(objective)
        self.origin = self._centre if shift is None else self._centre + shift  # of X as it was given
        self.n_classes = objective.rank + 1
        self.first = int(objective.fit_intercept)  # where the features begin
        self.n_parameters = objective.rank * (d + self.first)

    def inward(self, coef: Float64, intercept: Float64) -> Float64:
        """u of coefficients (Q, d) and intercepts (Q,) of X as it was given."""
        w = coef * self.scale
        return np.column_stack([intercept + coef @ self.origin, w]) if self.first else w

    def outward(self) -> Float64:
        """B (q, q) with θ = B u for each class: intercept and coefficients of X as it was given."""
        B = np.diag(np.append(np.ones(self.first), 1.0 / self.scale))
        if self.first:
            B[0, 1:] = -self.origin / self.scale
        return B

    def _held(self, u: Float64) -> Float64:
        """W of the engine's rows: (p,), or (p, K)."""
        W = np.zeros((len(u), self.rows.n_features + 1))
        W[:, :-1] = u[:, self.first :] / self.scale
        if self.first:
            W[:, -1] = u[:, 0] - W[:, :-1] @ self._centre
        return W[0] if self.n_classes == 2 else np.vstack([np.zeros(W.shape[1]), W]).T

    def _order(self) -> NDArray[np.intp]:
        """Where the parameters are among the engine's, which have the intercepts last and all K classes."""
        p, first = self.rows.n_features + 1, int(self.n_classes > 2)
        each = np.append(np.full(self.first, p - 1), np.arange(p - 1))
        classes = np.arange(first, first + self.objective.rank)
        return np.asarray((classes[:, np.newaxis] * p + each).ravel(), dtype=np.intp)

    def score(self, u: Float64) -> tuple[float, Float64]:
        """Mean loss in nats, and its gradient by u, (Q q,). One read of X.

        ``information`` is to be asked next, at u: where the engine makes both in that read, it needs none.
        """
        self.rows.expect_hessian(self._centre, self.scale, "float64")
        value, gradient = self.rows.loss_grad(self._held(u))
        G = np.atleast_2d(gradient.T)
        G[:, :-1] = (G[:, :-1] - G[:, -1:] * self._centre) / self.scale
        return float(value), G.ravel()[self._order()]

    def information(self, u: Float64) -> Float64:
        """The mean loss's Hessian by u, (Q q, Q q): a read of X at most, K (K − 1)/2 for a softmax."""
        H = self.rows.hessian(self._held(u), self._centre, self.scale, precision="float64")
        return self._in_order(H)

    def _in_order(self, H: Float64) -> Float64:
        """A Hessian of the engine's, (p, p) or (K p, K p), for the parameters in their order."""
        order = self._order()
        return np.ascontiguousarray(H[np.ix_(order, order)])

    def inverse(self, H: Float64) -> Float64:
        """Of an information (Q q, Q q), in units in which its diagonal is 1.

        Raises
        ------
        AliasedError
            Columns are linear combinations of those before them, to what float64 can tell.
        """
        size = np.sqrt(np.maximum(np.diag(H), 0.0))
        unit = np.where(size > 0.0, size, 1.0)
        scaled = H / unit / unit[:, np.newaxis]
        L, failed = dpotrf(scaled, lower=1, clean=1)
        if failed or not size.all() or float(np.diag(L).min()) ** 2 <= _ALIASED:
            q = len(H) // self.objective.rank
            raise AliasedError(sorted({k % q for k in _aliased(scaled)}))
        found: Float64 = cho_solve((L, True), np.eye(len(H)))
        found = 0.5 * (found + found.T)
        return found / unit / unit[:, np.newaxis]

    def meat(self, u: Float64, factors: Float64, groups: NDArray[np.intp] | None = None) -> Float64:
        """Σ t tᵀ over groups, t = Σ factorsᵢ ∂ℓᵢ/∂u over a group's rows: (Q q, Q q). One read of X.

        factors is (n,); groups (n,) or None, where every row is one of its own. Then, of two classes, it is a
        Hessian with other weights, read twice by the engine; else rows are taken block by block.
        """
        k = self.n_parameters
        if groups is None and self.n_classes == 2:
            z, sign = self.rows.logits(self._held(u)), 1.0 - 2.0 * self.rows.targets.y
            c = np.square(factors * expit(sign * z))
            zero = np.zeros(self.rows.n_features + 1)  # where all curvatures are 1/4
            H = self._reweighted(c).hessian(zero, self._centre, self.scale, precision="float64")
            return self._in_order(H) * (4.0 * float(c.sum()))
        total, open_group, open_sum = np.zeros((k, k)), -1, np.zeros(k)  # of a group that goes on in a block
        order = np.arange(self.rows.n_rows) if groups is None else np.argsort(groups, kind="stable")
        for block in blocks(len(order), k):
            rows = order[block]
            T = self._scores(u, rows) * factors[rows, np.newaxis]
            if groups is not None:
                own = groups[rows]
                T = np.add.reduceat(T, np.flatnonzero(np.diff(own, prepend=own[0] - 1)), axis=0)
                if own[0] == open_group:
                    T[0] += open_sum
                else:
                    total += np.outer(open_sum, open_sum)
                open_group, open_sum, T = int(own[-1]), T[-1].copy(), T[:-1]
            total += T.T @ T
        total += np.outer(open_sum, open_sum)
        return total

    def _scores(self, u: Float64, rows: NDArray[np.intp]) -> Float64:
        """∂ℓᵢ/∂u of these rows, (m, Q q): (a − e of the label) ⊗ x̂."""
        x = standardised_rows(self._take(rows), self._centre, self.scale, intercept=bool(self.first))
        z = x @ u.T if self._offset is None else x @ u.T + self._offset[rows, np.newaxis]
        a = softmax(np.column_stack([np.zeros(len(rows)), z]))
        each, own = np.arange(len(rows)), self.rows.targets.y[rows].astype(np.intp)
        a[each, own] = -rest(a)[each, own]
        return (a[:, 1:, np.newaxis] * x[:, np.newaxis]).reshape(len(rows), -1)


def standardised_rows(X: Float64, centre: Float64, scale: Float64, *, intercept: bool) -> Float64:
    """x̂ = (1, (x − centre)/scale) of rows (m, d); without the 1 where there is no intercept."""
    x = (X - centre) / scale
    return np.hstack([np.ones((len(x), 1)), x]) if intercept else x


def blocks(n: int, width: int) -> Iterator[slice]:
    """Rows from 0 to n, some at a time, of so many entries each."""
    step = max(1, _BLOCK // width)
    for begin in range(0, n, step):
        yield slice(begin, begin + step)


def _aliased(H: Float64) -> list[int]:
    """Which parameters of H, with a diagonal of 1, those before them tell: Cholesky's pivots of 0."""
    H, found = H.copy(), []
    for j in range(len(H)):
        if H[j, j] <= _ALIASED:
            found.append(j)
        else:
            below = H[j + 1 :, j] / np.sqrt(H[j, j])
            H[j + 1 :, j + 1 :] -= np.outer(below, below)
    return found
