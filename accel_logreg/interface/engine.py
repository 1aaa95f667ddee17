"""What an engine is asked: to hold rows, to answer for rows that it does not hold, to bound what it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np

from accel_logreg.interface.answers import Rates, SmallFit
from accel_logreg.interface.arrays import Csr, Float64, Matrix, kind_of
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import ClassTargets, Targets, column_targets


class BackendUnavailableError(ImportError):
    """A named backend cannot run on this machine; the message says why and what mends it."""

    def __init__(self, backend: str, reason: str, remedy: str) -> None:
        self.backend = backend
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"backend={backend!r} cannot run here: {reason} {remedy}", name=backend)

    def __reduce__(self) -> tuple[type[BackendUnavailableError], tuple[str, str, str]]:
        return type(self), (self.backend, self.reason, self.remedy)


class Engine(ABC):
    """One engine: makes rows, and predicts."""

    name: ClassVar[str]
    # Compiled code on two AVX-512 cores at 31 GB/s, from 28 to 3072 features.
    rates: ClassVar[Rates] = Rates(1 / 31e9, 0.13e-9, 0.4e-9, 1 / 150e9, 10e-6)

    def place(
        self,
        X: Any,
        y: Any,
        weights: Any = None,
        *,
        n_classes: int | None = None,
        max_memory: int | None = None,
    ) -> Rows:
        """Take a training set into this engine's memory.

        Parameters
        ----------
        X : (n, d) float32 or float64, C-contiguous, CSR, what ``adopt`` returned, or in parts
        y : (n,) of 0 and 1: one problem, whose labels and weights have been checked; or (n, K): K problems
            that share X, checked here
        weights : None, (n,), or (n, K) for each column's own; 0 takes a row out of one column's problem
        n_classes : K, for y (n,) of 0 to K − 1 and a softmax across classes (classes.py), checked
        max_memory : bytes of a device's memory that may be taken; None is what is free
            Without a device's memory there is nothing to bound: X is read where it is. For X in parts it
            bounds the host's memory, and None is half of what is free.

        Raises
        ------
        ValueError
            K columns or their weights are of another shape or have values that are not allowed.
        MemoryError
            There is not enough memory on the device; nothing has been copied.
        """
        if n_classes is not None:
            return self.place_targets(X, ClassTargets(y, weights, n_classes), max_memory)
        if np.ndim(y) == 1:
            return self.place_targets(X, Targets(y, weights), max_memory)
        return self.place_targets(X, column_targets(X.shape[0], y, weights), max_memory)

    def place_targets(self, X: Any, targets: Targets, max_memory: int | None = None) -> Rows:
        """As ``place``, for labels and weights that have been checked."""
        if isinstance(X, PartedMatrix):
            parted: Rows = X.rows(self, targets, max_memory)
            return parted
        if isinstance(targets, ClassTargets):
            rows = self._place_classes(X, targets, max_memory)
        elif targets.y.ndim == 1:
            rows = self._place(X, targets, max_memory)
        else:
            rows = self._place_columns(X, targets, max_memory)
        return rows.placed(targets, self.rates)

    @abstractmethod
    def _place(self, X: Any, targets: Targets, max_memory: int | None) -> Rows:
        """Rows of one problem."""

    @abstractmethod
    def _place_columns(self, X: Any, targets: Targets, max_memory: int | None) -> Rows:
        """Rows of K problems."""

    @abstractmethod
    def _place_classes(self, X: Any, targets: ClassTargets, max_memory: int | None) -> Rows:
        """Rows of one problem of K classes: a ``ClassRows``."""

    def small_fit(
        self,
        rows: Rows,  # noqa: ARG002
        shrink: float,  # noqa: ARG002
        fit_intercept: bool,  # noqa: ARG002
        tol: float,  # noqa: ARG002
        steps: int,  # noqa: ARG002
    ) -> SmallFit | None:
        """Newton's method from zero on mean loss + shrink/2 ‖W[:d]‖², the whole fit inside the engine.

        A short cut for problems so small that asking question by question costs more than the answers. None
        where the engine does not offer it for rows of this size, or where ``tol`` was not reached: the
        solvers then take the problem up from its start, and say what is wrong with it.
        """
        return None

    def small_sparse_fit(
        self,
        rows: Rows,  # noqa: ARG002
        start: Float64,  # noqa: ARG002
        l1: Float64,  # noqa: ARG002
        l2: Float64,  # noqa: ARG002
        fit_intercept: bool,  # noqa: ARG002
        tol: float,  # noqa: ARG002
        steps: int,  # noqa: ARG002
        *,
        at_least_zero: bool = False,  # noqa: ARG002
    ) -> SmallFit | None:
        """As ``small_fit``, on mean loss + Σ l1ⱼ|wⱼ| + l2ⱼ/2 wⱼ² from ``start`` (p,); l1 and l2 are (d,).

        ``at_least_zero``: whether no weight may be negative.
        """
        return None

    @abstractmethod
    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        """z = X W[:d] + W[d] for host X (m, d): host float64 (m,), or (m, K) for W (p, K)."""

    def probabilities(self, z: Float64, *, logarithm: bool) -> Float64 | None:  # noqa: ARG002
        """(1 − a, a) of host logits z (m,), or their logarithms, (m, 2); None where NumPy is as quick."""
        return None

    def adopt(self, X: Any) -> DeviceMatrix:
        """X (n, d), an array on a GPU, read where it lies. An engine of the CPU refuses it by name.

        Raises
        ------
        TypeError
            This engine reads host memory, or X is of a dtype or layout that cannot be read in place.
        """
        raise TypeError(
            f"X is a {kind_of(X)} on a GPU, and backend={self.name!r} reads host memory. Use backend='cupy' "
            "or 'auto', which read X where it lies, or pass a host array: cupy.asnumpy(X), or "
            "X.cpu().numpy() for a torch tensor"
        )

    def after_fit(self) -> None:  # noqa: B027
        """Give back what a fit needed beside its rows, but for a little that spares the next one time."""

    def release_memory(self) -> None:  # noqa: B027
        """Give back all memory that is kept for later and not in use; nothing on engines that keep none."""

    @abstractmethod
    def threads(self, n_threads: int | None) -> AbstractContextManager[object]:
        """A context that bounds this engine's threads and gives every setting back after."""

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
            rows = self.place(X, y, weights)
            rows.loss_grad(W)
            rows.hessian_product(W, np.ones(4))
            rows.descend(W, 0.1, 0.0, 1, True)
            rows.largest_entry()
        self.logits(X, W)
