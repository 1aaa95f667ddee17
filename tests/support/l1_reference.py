"""L1 and elastic net by means that share nothing with the package: bounds on J* from both sides.

J(W) = mean loss + λ Σⱼ fⱼ (ρ|wⱼ| + (1 − ρ)/2 wⱼ²), λ = 1/(C S), the intercept free. Everything that decides
is in extended precision. From above, J* is at most J anywhere. From below, any q whose rows are probabilities
and for which Σ sᵢ (qᵢ − yᵢ) is 0 for whatever has no penalty gives (Fenchel)

    J* ≥ −mean Σₖ q log q − Σⱼ R*(−gⱼ),  g = mean (q − y) x,  R*(u) = (|u| − l1)₊²/(2 l2), u₊ where w ≥ 0,

which without an l2 is 0 up to l1 and infinite beyond. No solver has to be trusted for that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

Long = np.longdouble
_TINY = np.sqrt(np.finfo(Long).tiny)


@dataclass(frozen=True)
class SparseProblem:
    """Data and parameters; y of 0 to K − 1. Two classes have one row of weights, K ≥ 3 have K."""

    X: Any
    y: Any
    s: Any = None
    C: float = 1.0
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    factor: Any = None
    positive: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What ``LogisticRegression`` has to be told."""
        return {
            "C": self.C, "l1_ratio": self.l1_ratio, "fit_intercept": self.fit_intercept,
            "penalty_factor": self.factor, "positive": self.positive,
        }  # fmt: skip

    @cached_property
    def _columns(self) -> Any:
        """X, and the intercept's ones (or zeros)."""
        X = self.X.toarray() if hasattr(self.X, "toarray") else self.X
        return np.c_[X.astype(Long), np.full(len(self.y), Long(self.fit_intercept))]

    @cached_property
    def _weights(self) -> Any:
        return np.ones(len(self.y), Long) if self.s is None else np.asarray(self.s).astype(Long)

    @cached_property
    def _shares(self) -> Any:
        return self._weights / self._weights.sum()

    @cached_property
    def _labels(self) -> Any:
        return np.eye(max(2, int(self.y.max()) + 1), dtype=Long)[self.y]

    @property
    def rows(self) -> int:
        """Of W: 1 for two classes."""
        K = self._labels.shape[1]
        return 1 if K == 2 else K

    @cached_property
    def l1(self) -> Any:
        """(d + 1,), 0 for the intercept."""
        return self._each * Long(self.l1_ratio)

    @cached_property
    def l2(self) -> Any:
        return self._each * (1 - Long(self.l1_ratio))

    @cached_property
    def _each(self) -> Any:
        d = self._columns.shape[1] - 1
        factor = np.ones(d) if self.factor is None else np.asarray(self.factor)
        return np.append(factor.astype(Long), Long(0)) / (Long(self.C) * self._weights.sum())

    @cached_property
    def _centred(self) -> tuple[SparseProblem, Any]:
        """The same problem where an intercept takes up the columns' means, and the means: far from 0 rounding
        would hide what the bounds are about.
        """
        X = self._columns[:, :-1]
        mean = (self._shares @ X) * self.fit_intercept
        return replace(self, X=X - mean), mean

    def joined(self, coef: Any, intercept: Any) -> Any:
        W = np.atleast_2d(np.asarray(coef)).astype(Long)
        return np.c_[W, np.broadcast_to(np.asarray(intercept, dtype=Long).ravel(), len(W))]

    def _logits(self, W: Any) -> Any:
        z = self._columns @ W.T
        return np.concatenate([np.zeros_like(z), z], axis=1) if self.rows == 1 else z

    def loss(self, W: Any) -> Any:
        z = self._logits(W)
        z = z - z[self._labels > 0][:, np.newaxis]
        top = z.max(axis=1)
        return self._shares @ (top + np.log(np.exp(z - top[:, np.newaxis]).sum(axis=1)))

    def penalty(self, W: Any) -> Any:
        return (self.l1 * abs(W) + self.l2 / 2 * W * W).sum()

    def value(self, W: Any) -> Any:
        """J of W (rows, d + 1)."""
        return self.loss(W) + self.penalty(W)

    def cost(self, coef: Any, intercept: Any) -> Any:
        return self.value(self.joined(coef, intercept))

    def _probabilities(self, W: Any) -> Any:
        z = self._logits(W)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def gradient(self, W: Any) -> Any:
        """Of the loss, as W."""
        residual = (self._probabilities(W) - self._labels) * self._shares[:, np.newaxis]
        g = residual.T @ self._columns
        return g[1:] if self.rows == 1 else g

    def slope(self, W: Any) -> Any:
        """The shortest subgradient of J."""
        r = self.gradient(W) + self.l2 * W
        up, down = np.minimum(r + self.l1, 0), np.maximum(r - self.l1, 0)
        if self.positive:
            down[:, :-1] = 0
        return np.where(W == 0, up + down, r + np.sign(W) * self.l1)

    def _hessian(self, W: Any, entries: Any) -> Any:
        """Of J along these entries of W, in float64."""
        a = self._probabilities(W)
        a = (a[:, 1:] if self.rows == 1 else a).astype(float)
        of, column = np.divmod(entries, W.shape[1])
        Z, s = self._columns[:, column].astype(float), self._shares.astype(float)
        A, H = a[:, of] * s[:, np.newaxis], np.zeros((len(entries), len(entries)))
        H -= (Z * A).T @ (Z * a[:, of])
        same = of[:, np.newaxis] == of
        H += np.where(same, (Z * A).T @ Z, 0.0)
        H[np.diag_indices(len(H))] += self.l2[column].astype(float)
        return H

    def descended(self, W: Any) -> Any:
        """Nearer to the optimum: Newton's steps of the weights that are not 0 or should not be."""
        centred, mean = self._centred
        return _shifted(centred._descended(_shifted(W, mean)), -mean)

    def _descended(self, W: Any, steps: int = 60) -> Any:
        value = self.value(W)
        for _ in range(steps):
            slope = self.slope(W)
            entries = np.flatnonzero((W != 0) | (slope != 0))
            if len(entries) == 0:
                break
            side = np.where(W != 0, np.sign(W), -np.sign(slope)).ravel()[entries]
            kinked = (self.l1 > 0) | (self.positive & (np.arange(W.shape[1]) < W.shape[1] - 1))
            kinked = np.tile(kinked, self.rows)[entries]
            step = _solved(self._hessian(W, entries), -slope.ravel()[entries])
            lower = None
            for tries in (step, -slope.ravel()[entries]):
                lower = self._along(W, value, entries, tries, side, kinked)
                if lower is not None:
                    break
            if lower is None:
                break
            W, value = lower
        return W

    def _along(self, W: Any, value: Any, entries: Any, step: Any, side: Any, kinked: Any) -> Any:
        """The first of 1, 1/2, … of a step that lowers J, or as good as keeps it and shortens the slope.

        None where there is none: J is convex, so what is level at a step and at half of it is level between.
        """
        t, level = Long(1), 0
        size = abs(self.slope(W)).max()
        for _ in range(60):
            there = W.copy().ravel()
            moved = there[entries] + t * step
            moved[kinked & (moved * side < 0)] = 0
            there[entries] = moved
            there = there.reshape(W.shape)
            lower = self.value(there)
            same = lower <= value * (1 + Long(1e-18))
            if lower < value * (1 - Long(1e-18)) or (same and abs(self.slope(there)).max() < size / 2):
                return there, lower
            level = level + 1 if same else 0
            if level == 2:
                return None
            t /= 2
        return None

    def balanced(self, W: Any) -> Any:
        """W with the best values of what has no penalty."""
        centred, mean = self._centred
        return _shifted(centred._balanced(_shifted(W, mean)), -mean)

    def _balanced(self, W: Any) -> Any:
        free = np.append(np.flatnonzero(self._each[:-1] == 0), len(self._each) - 1)
        if not self.fit_intercept:
            free = free[:-1]
        entries = (np.arange(self.rows)[:, np.newaxis] * W.shape[1] + free).ravel()
        value = self.value(W)
        for _ in range(100):
            slope = self.gradient(W).ravel()[entries]
            if len(entries) == 0 or abs(slope).max() < 1e-19:
                break
            step, t = _solved(self._hessian(W, entries), -slope), Long(1)
            while True:
                there = W.copy().ravel()
                there[entries] += t * step
                there = there.reshape(W.shape)
                lower = self.value(there)
                if lower <= value * (1 + Long(1e-18)) or t < 1e-9:
                    break
                t /= 2
            W, value = there, lower
        return W

    def lower(self, W: Any) -> Any:
        """A lower bound on J*, by what W tells."""
        centred, mean = self._centred
        return centred._lower(_shifted(W, mean))

    def _lower(self, W: Any) -> Any:
        W = self._balanced(W)
        p, Y, s = self._probabilities(W), self._labels, self._shares
        g = self.gradient(W)[:, :-1]
        l1, l2 = self.l1[:-1], self.l2[:-1]
        pull = np.maximum(-g, 0) if self.positive else abs(g)
        pull[:, self._each[:-1] == 0] = 0
        shrinkage = np.minimum(np.where(pull > 0, l1 / np.maximum(pull, _TINY), 1), 1)
        curved = np.broadcast_to(l2 > 0, pull.shape)
        best = -np.inf
        for where in (~curved, np.ones_like(curved)):
            c = shrinkage[where].min(initial=1)
            q = (1 - c) * Y + c * p
            entropy = -(s @ np.where(q > 0, q * np.log(np.maximum(q, _TINY)), 0).sum(axis=1))
            beyond = np.maximum(c * pull - l1, 0)
            conjugate = np.where(curved, beyond**2 / (2 * np.where(curved, l2, 1)), 0).sum()
            best = max(best, entropy - conjugate)
        return best

    def lowest(self, coef: Any, intercept: Any) -> Any:
        """The best lower bound on J* that this point leads to, and 0 where that is not enough."""
        W = self.joined(coef, intercept)
        low, value = max(self.lower(W), self.lower(self.descended(W))), self.value(W)
        if value - low > 1e-9 * value:  # steps from far away may end where weights are too many
            low = max(low, self.lower(self.descended(0 * W)))
        return low

    def excess(self, coef: Any, intercept: Any) -> float:
        """(J − J*)/J*, or above it by what the lower bound leaves: 1e-15 or so."""
        low = self.lowest(coef, intercept)
        above = float((self.cost(coef, intercept) - low) / low)
        assert above >= -1e-12, f"the lower bound is none: the fit is {-above} below"
        return above

    def accelerated(self, tol: float = 1e-13, most: int = 40_000) -> Any:
        """The optimum by the accelerated proximal gradient with restarts (Beck and Teboulle 2009), slowly.

        W (rows, d + 1), whose J is proven to be within ``tol`` of J*.
        """
        centred, mean = self._centred
        return _shifted(centred._accelerated(tol, most), -mean)

    def _accelerated(self, tol: float, most: int) -> Any:
        size = np.sqrt(self._shares @ self._columns**2)
        size[size == 0] = 1
        rate = Long(4 if self.rows == 1 else 2) / (self._columns.shape[1]) / size**2
        W = before = np.zeros((self.rows, self._columns.shape[1]), Long)
        momentum, value = Long(1), self.value(W)
        for k in range(most):
            if k % 50 == 0 and value - self._lower(W) <= tol * value:
                return W
            after = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            at = W + (momentum - 1) / after * (W - before)
            moved = self._proximal(at - rate * self.gradient(at), rate)
            lower = self.value(moved)
            if lower > value:  # against the way it came
                moved, after = self._proximal(W - rate * self.gradient(W), rate), Long(1)
                lower = self.value(moved)
            before, W, momentum, value = W, moved, after, lower
        raise AssertionError("the reference has not arrived")

    def _proximal(self, W: Any, rate: Any) -> Any:
        size = np.maximum(abs(W) - rate * self.l1, 0) / (1 + rate * self.l2)
        moved = np.sign(W) * size
        if self.positive:
            moved[:, :-1] = np.maximum(moved[:, :-1], 0)
        return moved


def _shifted(W: Any, mean: Any) -> Any:
    """W for columns that ``mean`` was subtracted from."""
    return np.c_[W[:, :-1], W[:, -1] + W[:, :-1] @ mean]


def _solved(H: Any, b: Any) -> Any:
    """H⁻¹ b, the shortest where H is singular; corrected once for what float64 lost."""
    scale = 1 / np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
    inverse = np.linalg.pinv(H * scale * scale[:, np.newaxis], rcond=1e-13, hermitian=True)
    return scale * (inverse @ (scale * b).astype(float)).astype(Long)


def quadratic_value(Q: Any, c: Any, l1: Any, x: Any) -> Any:
    """½ xᵀQx + cᵀx + Σ l1|x|."""
    return x @ (Q @ x) / 2 + c @ x + l1 @ abs(x)


def coordinate_descent(Q: Any, c: Any, l1: Any, bounded: Any = None, sweeps: int = 200_000) -> Any:
    """The minimum of ``quadratic_value``, x ≥ 0 where ``bounded``, one coordinate after the other."""
    Q, c, l1 = (np.asarray(a, dtype=float) for a in (Q, c, l1))
    k = len(c)
    bounded = np.zeros(k, bool) if bounded is None else bounded
    x, r = np.zeros(k), c.copy()
    for _ in range(sweeps):
        change = 0.0
        for j in range(k):
            if Q[j, j] == 0.0:
                continue
            aim = x[j] - r[j] / Q[j, j]
            new = np.sign(aim) * max(abs(aim) - l1[j] / Q[j, j], 0.0)
            new = max(new, 0.0) if bounded[j] else new
            if new != x[j]:
                r += Q[j] * (new - x[j])
                change = max(change, abs(new - x[j]) * np.sqrt(Q[j, j]))
                x[j] = new
        if change <= 1e-15 * (1.0 + abs(x * np.sqrt(np.diag(Q))).max()):
            break
    return x
