"""The door between solvers and engines: what a backend's rows answer, and in which shapes.

Conventions, everywhere in the project:

n rows, d features, p = d + 1. A weight vector W is (p,) host float64 with the intercept last.
X is (n, d), float32 or float64, C-contiguous or CSR, and stays where the backend put it. y is 0 or
1. s are the sample weights, S their sum. What a question reads of X is counted in
``Rows.reads``; every answer is host float64.

K problems that share X have W (p, K) and a door of their own, ``Columns`` in columns.py: one read of X
answers for all of them.

No penalty (except inside ``descend``), tolerance or solver name crosses this line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from accel_logreg.interface.answers import Descent, NewtonRun, RoughHessian
from accel_logreg.interface.device_arrays import kind_of
from accel_logreg.interface.rates import Rates

if TYPE_CHECKING:
    from accel_logreg.interface.columns import Columns
    from accel_logreg.interface.device_matrix import DeviceMatrix

Float64 = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.int8] | Float64


@dataclass(frozen=True)
class Csr:
    """X (n, d) in compressed sparse rows: row i holds data[indptr[i]:indptr[i + 1]] at those indices.

    data : (nnz,) float32 or float64, finite
    indices : (nnz,) int32 or int64, the columns, each at most once a row, in increasing order
    indptr : (n + 1,) of the same dtype as indices
    """

    data: Matrix
    indices: NDArray[np.int32] | NDArray[np.int64]
    indptr: NDArray[np.int32] | NDArray[np.int64]
    shape: tuple[int, int]

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + self.indices.nbytes + self.indptr.nbytes


@dataclass(frozen=True)
class Picked:
    """Some rows by index (m,) intp, in any order, and the factors (m,) their weights are multiplied by."""

    rows: NDArray[np.intp]
    factors: Float64


class BackendUnavailableError(ImportError):
    """A named backend cannot run on this machine; the message says why and what mends it."""

    def __init__(self, backend: str, reason: str, remedy: str) -> None:
        self.backend = backend
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"backend={backend!r} cannot run here: {reason} {remedy}", name=backend)

    def __reduce__(self) -> tuple[type[BackendUnavailableError], tuple[str, str, str]]:
        return type(self), (self.backend, self.reason, self.remedy)


class Rough(ABC):
    """A copy of X in few bits, in the coordinates x̂ = ((x − centre)/scale, 1) of U (p,).

    Its answers are those of Rows over a matrix near X̂: they steer, and decide nothing.
    """

    @abstractmethod
    def loss_grad(self, U: Float64) -> tuple[float, Float64]:
        """Mean loss in nats, and its gradient (p,)."""

    @abstractmethod
    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        """The Hessian of the mean loss at U times V, (p,). Cheapest at the U asked about last."""


class Rows(ABC):
    """One training set in one engine's memory.

    Attributes
    ----------
    n_rows, n_features : int
    dtype : numpy.dtype
        Storage of X: float32 or float64. Sums are accumulated in float64 either way.
    weight_sum : float
        S = Σ sᵢ, which is n_rows when there are no sample weights.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[np.float32] | np.dtype[np.float64],
        weight_sum: float,
    ) -> None:
        self.n_rows, self.n_features = shape
        self.dtype = dtype
        self.weight_sum = weight_sum
        self._tally = [0.0]
        self._share = 1.0

    @property
    def reads(self) -> float:
        """How often X has been read so far, the engine's own count.

        One fused pass is one read, two matrix-vector products are two. Rows and the samples taken
        from them share one count, in which a pass over a tenth of the rows is a tenth of a read.
        """
        return self._tally[0]

    def _count(self, reads: float) -> None:
        self._tally[0] += reads * self._share

    def _share_tally(self, sample: Rows) -> None:
        """Make ``sample`` count into this tally, copying its rows included."""
        sample._tally = self._tally
        sample._share = self._share * sample.n_rows / self.n_rows
        sample._count(1.0)

    def rates(self, usual: Rates) -> Rates:
        """What work on these rows takes, where it is not what the engine's ``usual`` rates say."""
        return usual

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

    def newton(self, l2: float, fit_intercept: bool, tol: float, steps: int) -> NewtonRun | None:  # noqa: ARG002
        """Newton's method from zero on mean loss + l2/2 ‖W[:d]‖², the whole loop inside the engine.

        For problems so small that asking question by question costs more than the answers. None where
        the engine does not offer it for rows of this size, or where ``tol`` was not reached: the
        solvers then take the problem up from its start, and say what is wrong with it.
        """
        return None

    @abstractmethod
    def largest_entry(self) -> float:
        """max |Xᵢⱼ|. Bounds a row's length by sqrt(d) times itself; one read, cached."""

    @abstractmethod
    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        picked: Picked | None = None,
        precise: bool = False,
    ) -> Float64:
        """The loss Hessian at W in the coordinates x̂ = ((x − centre)/scale, 1): (p, p), symmetric.

        (1/S) Σ sᵢ hᵢ x̂ᵢ x̂ᵢᵀ, with zᵢ from W and xᵢ as they are. Over the picked rows, where given,
        with weights sᵢ × factor, divided by their sum.

        Products may be rounded to float32 and their factors to TF32 (10 bits after the leading one), in
        these coordinates, unless ``precise``: the answer conditions a solver's steps, it does not
        decide where they end. centre and scale are (d,);
        for CSR rows centre must be zero.
        """

    def rough_hessian(
        self,
        W: Float64,  # noqa: ARG002
        centre: Float64,  # noqa: ARG002
        scale: Float64,  # noqa: ARG002
        *,
        picked: Picked | None = None,  # noqa: ARG002
    ) -> RoughHessian | None:
        """``hessian`` from products of a few bits, at a fraction of its price.

        None where the engine has no such products for this p, or where these rows are beyond float32.
        """
        return None

    @abstractmethod
    def hessian_diagonal(self, W: Float64) -> Float64:
        """(1/S) Σ sᵢ hᵢ x̃ᵢⱼ², (p,): the diagonal of the loss Hessian at W."""

    @abstractmethod
    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:
        """(X − centre)(X − centre)ᵀ, (n, n) float64: every two rows' inner product.

        Unless ``precise``, differences and products may be rounded to float32.
        """

    @abstractmethod
    def combination(self, a: Float64) -> Float64:
        """Xᵀ a = Σ aᵢ xᵢ for a (n,): (d,)."""

    @abstractmethod
    def sample(self, picked: Picked) -> Rows:
        """A copy of the picked rows as rows of the same engine, with weights sᵢ × factor."""

    def rough(self, centre: Float64, scale: Float64) -> Rough | None:  # noqa: ARG002
        """A copy in few bits, for solvers that read X many times; centre and scale are (d,).

        None where the engine has none, where X is too small to be worth one, or cannot be held in one.
        A pass over the copy counts as many reads as the copy has bytes for each of X's.
        """
        return None


class Backend(ABC):
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

    def bounded(self, max_memory: int | None) -> Backend:  # noqa: ARG002
        """This engine with at most so many bytes of a device's memory to take; None bounds nothing.

        Without a device's memory there is nothing to bound: X is read where it is.
        """
        return self

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
