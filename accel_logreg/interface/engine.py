"""What an engine is asked: to hold rows, to answer for rows that it does not hold, to bound what it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np

from accel_logreg.interface.answers import Rates
from accel_logreg.interface.arrays import Csr, Float64, Labels, Matrix, kind_of
from accel_logreg.interface.columns import Columns
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.rows import Rows


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

    @abstractmethod
    def rows(self, X: Matrix | Csr, y: Labels, sample_weight: Float64 | None) -> Rows:
        """Take validated data, (n, d), (n,) of 0 and 1, (n,) or None, into this engine's memory."""

    @abstractmethod
    def columns(self, X: Matrix | Csr, Y: Any, weights: Any = None) -> Columns:
        """Take K binary problems that share X: Y (n, K) of 0 and 1; weights None, (n,) or (n, K).

        Each column is a problem of its own; a weight of 0 takes a row out of one column's problem. Dense
        X on every engine; sparse X where ``TypeError`` does not say otherwise.

        Raises
        ------
        ValueError
            Y or the weights are of another shape or have values that are not allowed, K is 0, or the
            weights of a column are all 0.
        """

    @abstractmethod
    def logits(self, X: Matrix | Csr, W: Float64) -> Float64:
        """z = X W[:d] + W[d] for host X (m, d): host float64 (m,)."""

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

    def bounded(self, max_memory: int | None) -> Engine:  # noqa: ARG002
        """This engine with at most so many bytes of a device's memory to take; None bounds nothing.

        Without a device's memory there is nothing to bound: X is read where it is.
        """
        return self

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
            rows = self.rows(X, y, weights)
            rows.loss_grad(W)
            rows.hessian_product(W, np.ones(4))
            rows.descend(W, 0.1, 0.0, 1, True)
            rows.largest_entry()
        self.logits(X, W)
