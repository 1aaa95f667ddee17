"""The optimum by means that share nothing with the package, and what a fit promises about it.

J is evaluated in extended precision on the X that was fitted. Its minimum comes from damped Newton in
extended precision, in centred and scaled columns, with its own check that it has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from accel_logreg import LogisticRegression

Long = np.longdouble
_ALL_IN_EXTENDED_PRECISION = 1_000_000  # rows × unknowns² up to which the Hessian is made so, too


@dataclass(frozen=True)
class Problem:
    """Data, weights and parameters: everything that decides where the optimum is."""

    X: Any
    y: Any
    s: Any = None
    C: float = 1.0
    fit_intercept: bool = True

    def fit(self, dtype: str = "float64", **settings: Any) -> LogisticRegression:
        model = LogisticRegression(C=self.C, fit_intercept=self.fit_intercept, **settings)
        return model.fit(self.X.astype(dtype), self.y, sample_weight=self.s)

    @cached_property
    def _extended(self) -> tuple[Any, Any, Any]:
        """X, y and the weights divided by their sum."""
        s = np.ones(len(self.y)) if self.s is None else self.s
        return self.X.astype(Long), self.y.astype(Long), s.astype(Long) / s.astype(Long).sum()

    @cached_property
    def l2(self) -> Any:
        """λ = 1/(C S)."""
        return 1 / (Long(self.C) * (len(self.y) if self.s is None else self.s.astype(Long).sum()))

    def cost(self, w: Any, b: Any) -> Any:
        """J at (w, b) in nats, by its definition, in extended precision."""
        X, y, s = self._extended
        w = np.asarray(w).astype(Long)
        return _losses(X @ w + Long(b), y) @ s + self.l2 * (w @ w) / 2

    @cached_property
    def best(self) -> Any:
        """J*."""
        return self.cost(*self.optimum)

    @cached_property
    def optimum(self) -> tuple[Any, Any]:
        """(w*, b*); fails where its own Newton decrement says that it has not arrived."""
        X, y, s = self._extended
        mean = s @ X if self.fit_intercept else np.zeros(X.shape[1], Long)
        Z = X - mean
        noise = 1e-15 * abs(mean)
        span = _orthonormal(Z) if len(Z) < Z.shape[1] else None  # of the rows, in which w* lies
        if span is not None:
            Z, noise = Z @ span.T, 0
        d = Z.shape[1]
        scale = np.sqrt(s @ Z**2 + 4 * self.l2)
        scale[~(scale > noise)] = 1
        Z /= scale
        if self.fit_intercept:
            Z = np.c_[Z, np.ones(len(Z), Long)]
        penalty = np.zeros(Z.shape[1], Long)
        penalty[:d] = self.l2 / scale**2
        u = np.zeros(Z.shape[1], Long)
        if Z.size * Z.shape[1] > _ALL_IN_EXTENDED_PRECISION:
            rough = (np.ascontiguousarray(part, dtype=np.float64) for part in (Z, y, s, penalty, u))
            u = _newton(*rough)[0].astype(Long)
            u, gap = _polish(Z, y, s, penalty, u)
        else:
            u, gap = _newton(Z, y, s, penalty, u)
        w = u[:d] / scale if span is None else (u[:d] / scale) @ span
        b = u[-1] - mean @ w if self.fit_intercept else Long(0)
        value = self.cost(w, b)
        assert gap <= 1e-14 * value, f"the reference itself is {gap / value} away"
        return w, b

    def excess(self, w: Any, b: Any) -> float:
        """The true (J − J*)/J*."""
        above = float((self.cost(w, b) - self.best) / self.best)
        assert above >= -1e-12, f"the reference is not the optimum: the fit is {-above} below"
        return above


def _orthonormal(rows: Any) -> Any:
    """An orthonormal basis of what the rows span: each less what it shares with those before, twice."""
    basis = np.zeros((0, rows.shape[1]), Long)
    noise = 1e-15 * np.sqrt((rows**2).sum(axis=1).max())
    for row in rows:
        for _ in range(2):
            row = row - (basis @ row) @ basis
        size = np.sqrt(row @ row)
        if size > noise:
            basis = np.vstack([basis, row / size])
    return basis


def _losses(z: Any, y: Any) -> Any:
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-abs(z)))


def _newton(Z: Any, y: Any, s: Any, penalty: Any, u: Any) -> tuple[Any, Any]:
    """Damped Newton from u in the precision given: where it ends, and the decrement there."""

    def value(u: Any) -> Any:
        return s @ _losses(Z @ u, y) + (penalty * u * u).sum() / 2

    J = value(u)
    decrement = np.inf
    for _ in range(300):
        step, decrement = _step(Z, y, s, penalty, u, Z)
        if abs(decrement) <= 100 * np.finfo(u.dtype).eps * J:
            break
        t = u.dtype.type(1)
        while not value(u - t * step) < J and t > 1e-12:
            t /= 2
        if not value(u - t * step) < J:
            break
        u = u - t * step
        J = value(u)
    return u, decrement


def _polish(Z: Any, y: Any, s: Any, penalty: Any, u: Any) -> tuple[Any, Any]:
    """Full steps from next to the optimum: exact gradients, Hessians in float64."""
    coarse = Z.astype(np.float64)
    for _ in range(2):
        u = u - _step(Z, y, s, penalty, u, coarse)[0]
    return u, abs(_step(Z, y, s, penalty, u, coarse)[1])


def _step(Z: Any, y: Any, s: Any, penalty: Any, u: Any, coarse: Any) -> tuple[Any, Any]:
    """Newton's step H⁻¹g and the decrement ½ gᵀH⁻¹g, with H from ``coarse``, which is Z."""
    z = Z @ u
    e = np.exp(-abs(z))
    g = Z.T @ (s * (np.where(z >= 0, 1, e) / (1 + e) - y)) + penalty * u
    H = (coarse * (s * e / (1 + e) ** 2).astype(coarse.dtype)[:, None]).T @ coarse
    H.flat[:: len(H) + 1] += penalty.astype(coarse.dtype)
    step = _solve(H, g.astype(H.dtype)).astype(u.dtype)
    return step, g @ step / 2


def _solve(H: Any, g: Any) -> Any:
    """H⁻¹ g by Cholesky, with as small a ridge as the rank of H asks for; LAPACK knows no long double."""
    p = len(H)
    noise = np.finfo(H.dtype)
    ridge = 10 * p * noise.eps * max(H.diagonal().max(), noise.tiny * 1e10)
    while True:
        L = H.copy()
        L.flat[:: p + 1] += ridge
        for k in range(p):
            if not L[k, k] > 0:
                break
            L[k, k] = np.sqrt(L[k, k])
            L[k + 1 :, k] /= L[k, k]
            L[k + 1 :, k + 1 :] -= np.outer(L[k + 1 :, k], L[k + 1 :, k])
        else:
            break
        ridge *= 100
    x = g.copy()
    for k in range(p):
        x[k] = (x[k] - L[k, :k] @ x[:k]) / L[k, k]
    for k in reversed(range(p)):
        x[k] = (x[k] - L[k + 1 :, k] @ x[k + 1 :]) / L[k, k]
    return x


def excess(problem: Problem, model: LogisticRegression) -> float:
    """How far the fit is above the optimum."""
    return problem.excess(model.coef_[0], model.intercept_[0])


def assert_promise_kept(problem: Problem, model: LogisticRegression, tol: float = 1e-8) -> None:
    """gap_ is at most tol, and true: an upper bound if certified, right within a factor of 2 if estimated."""
    assert 0 <= model.gap_ <= tol
    assert model.gap_kind_ in ("certified", "estimated")
    allowed = 1.0 if model.gap_kind_ == "certified" else 2.0
    assert excess(problem, model) <= allowed * tol
