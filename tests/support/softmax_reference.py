"""The softmax's optimum by means that share nothing with the package: Newton in extended precision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Long = np.longdouble


@dataclass(frozen=True)
class SoftmaxProblem:
    """Data, weights and parameters; y (n,) of 0 to K − 1."""

    X: Any
    y: Any
    s: Any = None
    C: float = 1.0
    fit_intercept: bool = True

    @property
    def n_classes(self) -> int:
        return int(self.y.max()) + 1

    @cached_property
    def _shares(self) -> Any:
        s = np.ones(len(self.y)) if self.s is None else self.s
        return s.astype(Long) / s.astype(Long).sum()

    @cached_property
    def l2(self) -> Any:
        return 1 / (Long(self.C) * (len(self.y) if self.s is None else self.s.astype(Long).sum()))

    def cost(self, coef: Any, intercept: Any) -> Any:
        """J in nats by its definition, coef (K, d), intercept (K,)."""
        W = np.asarray(coef).astype(Long)
        z = self.X.astype(Long) @ W.T + np.asarray(intercept).astype(Long)
        z = z - z[np.arange(len(z)), self.y][:, np.newaxis]
        top = z.max(axis=1)
        losses = top + np.log(np.exp(z - top[:, np.newaxis]).sum(axis=1))
        return self._shares @ losses + self.l2 / 2 * (W * W).sum()

    @cached_property
    def best(self) -> float:
        """J*: Newton's method with halved steps on all K (d + 1) unknowns, refined until J stands still.

        In columns that are centred and scaled; the direction by float64, everything that decides by more.
        """
        X, K = self.X.astype(Long), self.n_classes
        shift = (self._shares @ X) * self.fit_intercept
        scale = np.sqrt(self._shares @ (X - shift) ** 2)
        scale = np.where(scale > 0, scale, 1)
        Xh = np.c_[(X - shift) / scale, np.full(len(X), Long(self.fit_intercept))]
        pull = np.append(self.l2 / scale**2, 0)
        p = Xh.shape[1]
        W = np.zeros((K, p), dtype=Long)
        Y = np.eye(K, dtype=Long)[self.y]
        value = self._value(Xh, pull, W)
        for _ in range(200):
            a = _softmax(Xh @ W.T)
            g = ((a - Y) * self._shares[:, np.newaxis]).T @ Xh + pull * W
            H = _hessian(a.astype(float), self._shares.astype(float), Xh.astype(float))
            H = H + np.diag(np.tile(pull, K).astype(float))
            step = np.linalg.lstsq(H, -g.ravel().astype(float), rcond=1e-13)[0]
            step = step.reshape(K, p).astype(Long)
            length = Long(1)
            while length > 1e-12 and not self._value(Xh, pull, W + length * step) <= value:
                length /= 2
            W = W + length * step
            before, value = value, self._value(Xh, pull, W)
            if before - value <= 1e-17 * value:
                return float(value)
        raise AssertionError("the reference has not arrived")

    def _value(self, Xh: Any, pull: Any, W: Any) -> Any:
        z = Xh @ W.T
        z = z - z[np.arange(len(z)), self.y][:, np.newaxis]
        top = z.max(axis=1)
        losses = top + np.log(np.exp(z - top[:, np.newaxis]).sum(axis=1))
        return self._shares @ losses + (pull * W * W).sum() / 2


def _hessian(a: Any, s: Any, Xh: Any) -> Any:
    """Σ s (diag(a) − a aᵀ) ⊗ x xᵀ, (K p, K p)."""
    n, K, p = len(a), a.shape[1], Xh.shape[1]
    ax = (np.sqrt(s)[:, np.newaxis, np.newaxis] * a[:, :, np.newaxis] * Xh[:, np.newaxis]).reshape(n, K * p)
    H = -(ax.T @ ax)
    for k in range(K):
        H[k * p : (k + 1) * p, k * p : (k + 1) * p] += (Xh.T * (s * a[:, k])) @ Xh
    return H


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
