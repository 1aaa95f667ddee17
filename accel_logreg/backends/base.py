"""The door between solvers and engines: what a backend's rows answer, and in which shapes.

Conventions, everywhere in the project:

n rows, d features, p = d + 1. A weight vector W is (p,) host float64 with the intercept last.
X is (n, d), float32 or float64, C-contiguous, and stays where the backend put it. y is 0.0 or 1.0.
s are the sample weights, S their sum. One question costs a fixed number of reads of X, counted
in ``Rows.reads``; every answer of size p is host float64.

No penalty (except inside ``descend``), tolerance or solver name crosses this line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Float64 = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]


class BackendUnavailableError(ImportError):
    """A named backend cannot run on this machine; the message says why and what mends it."""

    def __init__(self, backend: str, reason: str, remedy: str) -> None:
        self.backend = backend
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"backend={backend!r} cannot run here: {reason} {remedy}", name=backend)

    def __reduce__(self) -> tuple[type[BackendUnavailableError], tuple[str, str, str]]:
        return type(self), (self.backend, self.reason, self.remedy)


@dataclass(frozen=True)
class Descent:
    """What ``Rows.descend`` returns.

    W : (p,) float64, the weights after the last step
    costs : (steps,) float64, J at the START of each step, in nats per unit weight
    gradient_norms : (steps,) float64, ‖∇J‖₂ at the start of each step
    """

    W: Float64
    costs: Float64
    gradient_norms: Float64


class Rows(ABC):
    """One training set in one engine's memory.

    Attributes
    ----------
    n_rows, n_features : int
    dtype : numpy.dtype
        Storage of X: float32 or float64. Sums are accumulated in float64 either way.
    weight_sum : float
        S = Σ sᵢ, which is n_rows when there are no sample weights.
    reads : int
        How often X has been read so far, the engine's own count: one fused pass is one read,
        two matrix-vector products are two.
    """

    n_rows: int
    n_features: int
    dtype: np.dtype[np.float32] | np.dtype[np.float64]
    weight_sum: float
    reads: int

    @abstractmethod
    def loss_grad(self, W: Float64) -> tuple[float, Float64]:
        """Mean loss (1/S) Σ sᵢ ℓ(zᵢ, yᵢ) in nats, and its gradient (p,)."""

    @abstractmethod
    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        """(1/S) Σ sᵢ hᵢ x̃ᵢ (x̃ᵢᵀ V), h = a(1 − a), x̃ = (x, 1): the loss Hessian at W times V (p,)."""

    @abstractmethod
    def descend(
        self, W: Float64, learning_rate: float, l2: float, steps: int, fit_intercept: bool
    ) -> Descent:
        """Plain gradient descent on mean loss + l2/2 ‖W[:d]‖², the whole loop inside the engine.

        W ← W − learning_rate ∇J, ``steps`` times. With ``fit_intercept=False`` the last entry
        of W does not move and does not count in the gradient norm.
        """

    @abstractmethod
    def largest_entry(self) -> float:
        """max |Xᵢⱼ|. Bounds a row's length by sqrt(d) times itself; one read, cached."""


class Backend(ABC):
    """One engine: makes rows, and predicts."""

    name: ClassVar[str]

    @abstractmethod
    def rows(self, X: Matrix, y: Float64, sample_weight: Float64 | None) -> Rows:
        """Take validated data, (n, d), (n,) in {0.0, 1.0}, (n,) or None, into this engine's memory."""

    @abstractmethod
    def logits(self, X: Matrix, W: Float64) -> Float64:
        """z = X W[:d] + W[d] for host X (m, d): host float64 (m,)."""

    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        """A context that bounds this engine's threads and gives every setting back after."""
        return blas_threads(n_threads)

    def n_threads(self, n_threads: int | None) -> int:  # noqa: ARG002
        """How many threads a fit with this ``n_threads`` uses; 1 unless the engine has its own."""
        return 1

    def warm_up(self, dtype: type[np.float32] | type[np.float64]) -> None:
        """Ask every question once on a tiny problem, so that what compiles has compiled."""
        identity = np.eye(4, 3)
        X: Matrix = identity if dtype is np.float64 else identity.astype(np.float32)
        y = np.array([0.0, 1.0, 1.0, 0.0])
        W = np.zeros(4)
        for weights in (None, np.ones(4)):
            rows = self.rows(X, y, weights)
            rows.loss_grad(W)
            rows.hessian_product(W, np.ones(4))
            rows.descend(W, 0.1, 0.0, 1, True)
            rows.largest_entry()
        self.logits(X, W)


def blas_threads_now() -> int:
    """How many threads BLAS may use at this moment; 1 where no BLAS of NumPy's can tell."""
    pools = _thread_pools().info()
    return max((pool["num_threads"] for pool in pools if pool["user_api"] == "blas"), default=1)


@cache
def _thread_pools() -> ThreadpoolController:
    # Finding the loaded BLAS libraries takes about a millisecond: once is enough.
    return ThreadpoolController()


def blas_threads(n_threads: int | None) -> AbstractContextManager[object]:
    """Bound BLAS to ``n_threads`` (None leaves it alone) and restore it on exit."""
    limiter: AbstractContextManager[object] = _thread_pools().limit(limits=n_threads, user_api="blas")
    return limiter
