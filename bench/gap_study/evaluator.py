"""J and its minimum in extended precision: shares nothing with the trainer that it judges.

J is evaluated by its definition in long double (64 bits of mantissa). The minimum comes from Newton's method
in centred and scaled columns, whose gradients are long double and whose Hessians are float64: the error of a
step then shrinks like that of iterative refinement (Wilkinson 1963).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import linprog

Long = np.longdouble
_STEPS = 400
_ARRIVED = 1e-17  # of J: Newton decrement
_PATIENCE = 30.0  # seconds for a linear program; what is not known then counts as not separated


@dataclass(frozen=True)
class Problem:
    """X (n, d) dense or CSR, y (n,) of 0 and 1, s (n,) or None; C may be infinite."""

    X: Any
    y: Any
    s: Any = None
    C: float = 1.0
    fit_intercept: bool = True

    @cached_property
    def l2(self) -> Any:
        """λ = 1/(C S)."""
        return 1 / (Long(self.C) * self._s.sum())

    @cached_property
    def _s(self) -> Any:
        return np.ones(len(self.y), Long) if self.s is None else self.s.astype(Long)

    @cached_property
    def _share(self) -> Any:
        return self._s / self._s.sum()

    @cached_property
    def _extended(self) -> Any:
        return self.X.astype(Long)

    def cost(self, w: Any, b: Any) -> Any:
        """J at (w, b) in nats."""
        w = np.asarray(w, Long)
        margin = (1 - 2 * self.y.astype(Long)) * (self._extended @ w + Long(b))
        return _softplus(margin) @ self._share + self.l2 * (w @ w) / 2

    def separates(self) -> bool:
        """Whether a direction exists along which no row's margin falls and one's grows (Konis 2007)."""
        sign = (2.0 * self.y - 1.0)[:, None]
        X = _dense(self.X).astype(np.float64)[self._s > 0]
        sign = sign[self._s > 0]
        if self.fit_intercept:
            X = X - X.mean(axis=0)
        scale = np.abs(X).max(axis=0)
        A = X[:, scale > 0] / scale[scale > 0]
        A = sign * (np.c_[A, np.ones(len(A))] if self.fit_intercept else A)
        if A.shape[1] == 0:
            return False
        found = linprog(
            -A.sum(axis=0),
            A_ub=np.r_[-A, A],
            b_ub=np.r_[np.zeros(len(A)), np.ones(len(A))],
            bounds=(-1e6, 1e6),
            method="highs",
            options={"time_limit": _PATIENCE},
        )
        if found.x is None:
            return False
        margins = A @ found.x
        return bool(margins.max() > 1e-3 and margins.min() > -1e-7)

    @cached_property
    def optimum(self) -> tuple[Any, Any, float]:
        """w*, b* and J*'s own relative uncertainty, the last Newton decrement over J."""
        s, d = self._share, self.X.shape[1]
        dense = _dense(self._extended)
        mean = s @ dense if self.fit_intercept else np.zeros(d, Long)
        Z = dense - mean
        span = None
        if len(Z) < d:  # w* lies in what the rows span
            _, values, span = np.linalg.svd(Z.astype(np.float64), full_matrices=False)
            span = span[values > 1e-14 * values[0]] if values[0] > 0 else span[:1]
            Z = Z @ span.T.astype(Long)
        scale = np.sqrt(s @ (Z * Z) + 4 * self.l2)
        scale[~(scale > 1e-15 * (np.abs(mean).max() if span is not None else np.abs(mean)))] = 1
        Z /= scale
        if self.fit_intercept:
            Z = np.c_[Z, np.ones(len(Z), Long)]
        penalty = np.zeros(Z.shape[1], Long)
        penalty[: len(scale)] = self.l2 / scale / scale
        u, uncertainty = _newton(Z, self.y, s, penalty, self.fit_intercept)
        w = u[: len(scale)] / scale
        if span is not None:
            w = w @ span.astype(Long)
        return w, (u[-1] - mean @ w if self.fit_intercept else Long(0)), uncertainty

    @cached_property
    def best(self) -> Any:
        """J*."""
        return self.cost(*self.optimum[:2])

    def excess(self, w: Any, b: Any) -> float:
        """The true (J − J*)/J*."""
        return float((self.cost(w, b) - self.best) / self.best)


def _dense(X: Any) -> Any:
    return X.toarray() if sparse.issparse(X) else X  # type: ignore[attr-defined]


def _softplus(m: Any) -> Any:
    return np.maximum(m, 0) + np.log1p(np.exp(-np.abs(m)))


def _newton(Z: Any, y: Any, s: Any, penalty: Any, intercept: bool) -> tuple[Any, float]:
    """From the log-odds; where it ends, and the relative decrement there."""
    sign, coarse = 1 - 2 * y.astype(Long), Z.astype(np.float64)
    u = np.zeros(Z.shape[1], Long)
    if intercept:
        u[-1] = np.log((s @ y) / (s @ (1 - y)))
    J, left = np.inf, np.inf
    z = Z @ u
    for _ in range(_STEPS):
        m = sign * z
        e = np.exp(-np.abs(m))
        J = s @ (np.maximum(m, 0) + np.log1p(e)) + (penalty * u * u).sum() / 2
        g = Z.T @ (s * sign * np.where(m >= 0, 1, e) / (1 + e)) + penalty * u
        h = np.asarray(s * e / (1 + e) ** 2, np.float64)
        H = (coarse * h[:, None]).T @ coarse
        H.flat[:: len(H) + 1] += np.asarray(penalty, np.float64)
        step = _solve(H, np.asarray(g, np.float64)).astype(Long)
        slope = g @ step
        left = float(abs(slope) / 2 / J) if J > 0 else 0.0
        if left <= _ARRIVED:
            break
        along, t, low, high = Z @ step, Long(1), Long(0), Long(np.inf)
        linear, quadratic = (penalty * u * step).sum(), (penalty * step * step).sum()
        for _ in range(60):  # where the slope along the step has fallen to a hundredth
            m = sign * (z - t * along)
            e = np.exp(-np.abs(m))
            now = (s * sign * np.where(m >= 0, 1, e) / (1 + e)) @ along + linear - t * quadratic
            if abs(now) <= 0.01 * abs(slope) or high - low < 1e-15 * t:
                break
            low, high = (t, high) if now > 0 else (low, t)
            t = 2 * t if high == np.inf else (low + high) / 2
        u = u - t * step
        z = Z @ u
        if not np.isfinite(u).all() or np.abs(z).max() > 300:  # separated: nothing more to learn
            break
    return u, left


def _solve(H: Any, g: Any) -> Any:
    ridge = 1e-17 * H.diagonal().max()
    while True:
        try:
            return cho_solve(cho_factor(H + ridge * np.eye(len(H))), g)
        except np.linalg.LinAlgError:
            ridge *= 10
