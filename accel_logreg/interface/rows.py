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

import numpy as np

from accel_logreg.interface.answers import Descent, NewtonRun, Rates, RoughHessian, RowSample
from accel_logreg.interface.arrays import Float64


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
        picked: RowSample | None = None,
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
        picked: RowSample | None = None,  # noqa: ARG002
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
    def sample(self, picked: RowSample) -> Rows:
        """A copy of the picked rows as rows of the same engine, with weights sᵢ × factor."""

    def rough(self, centre: Float64, scale: Float64) -> Rough | None:  # noqa: ARG002
        """A copy in few bits, for solvers that read X many times; centre and scale are (d,).

        None where the engine has none, where X is too small to be worth one, or cannot be held in one.
        A pass over the copy counts as many reads as the copy has bytes for each of X's.
        """
        return None
