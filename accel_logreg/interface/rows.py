"""The interface between solvers and engines: what an engine's rows answer, and in which shapes.

Conventions, everywhere in the project:

n rows, d features, p = d + 1. X is (n, d), float32 or float64, C-contiguous or CSR, and stays where the
engine put it. s are the sample weights, S their sum. A weight vector W is host float64 with the intercept
last. What a question reads of X is counted in ``Rows.reads``; every answer is host float64.

Rows are one problem, y (n,) of 0 and 1 with W (p,), or K problems that share X, Y (n, K) with W (p, K), a
column a problem: one-vs-rest, the folds of a cross-validation, a path over C (columns.py). What is said below
of (p,) is said of every column; an answer's last axis is K then.

No penalty (except inside ``descend``), tolerance or solver name crosses this line.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import ColumnMoments, Descent, LowPrecisionHessian, Rates, RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.targets import Targets

Precision = Literal["float64", "float32"]

# Moments only steer the iterations: a sample finds them, and only a small problem looks at all rows.
_MOST_ROWS = 4096
_MOST_ENTRIES = 1 << 18
_LEAST_ROWS = 256
_PIECE = 1 << 16  # entries looked at at a time: 512 KiB as float64, for which no new pages are needed
_SQUARES = 1e-140  # deviations from here to its reciprocal have squares that float64 holds


class ExpectedHessian:
    """What is to be made beside the next gradient, and what was made so, until it is asked for."""

    _coordinates: tuple[Float64, Float64, Precision] | None = None
    _made: tuple[Float64, tuple[Float64, Float64, Precision], Float64] | None = None

    def set(self, centre: Float64, scale: Float64, precision: Precision) -> None:
        """In these coordinates."""
        self._coordinates = centre, scale, precision

    def __bool__(self) -> bool:
        """Whether one is expected."""
        return self._coordinates is not None

    def taken(self) -> tuple[Float64, Float64, Precision]:
        """The coordinates; none is expected any more until ``keep``."""
        assert self._coordinates is not None
        return self._coordinates

    def keep(self, W: Float64, H: Float64) -> None:
        """What was made at W."""
        assert self._coordinates is not None
        self._made, self._coordinates = (W.copy(), self._coordinates, H), None

    def known(self, W: Float64, centre: Float64, scale: Float64, precision: Precision) -> Float64 | None:
        """The Hessian that was made, if it is this one; it is handed out once."""
        made, self._made = self._made, None
        if made is None:
            return None
        at, coordinates, H = made
        same = coordinates[0] is centre and coordinates[1] is scale and coordinates[2] == precision
        return H if same and np.array_equal(at, W) else None


class Quantised(ABC):
    """A copy of X in 8 bits, in the coordinates x̂ = ((x − centre)/scale, 1) of U (p,).

    Its answers are those of Rows over a matrix near X̂: they steer, and decide nothing.
    """

    @abstractmethod
    def loss_grad(self, U: Float64) -> tuple[float, Float64]:
        """Mean loss in nats, and its gradient (p,)."""

    @abstractmethod
    def hessian_product(self, U: Float64, V: Float64) -> Float64:
        """The Hessian of the mean loss at U times V, (p,). Cheapest at the U asked about last."""


class ColumnDescent(ABC):
    """Columns of X that know their rows: coordinate descent on the loss's quadratic model."""

    @abstractmethod
    def minimise_model(
        self,
        W: Float64,
        gradient: Float64,
        l1: Float64,
        l2: Float64,
        *,
        at_least_zero: bool,
        fit_intercept: bool,
        tol: float,
        sweeps: int,
    ) -> Float64:
        """About where the model at W of the mean loss, whose gradient there is given, with Σ l1ⱼ|wⱼ| +
        l2ⱼ/2 wⱼ² is least: (p,).

        After at most so many sweeps over the columns, or once one of them moves by ``tol`` of the first.
        l1 and l2 are (d,).
        """


class AmongRows(ABC):
    """What rows that know each other answer: inner products, for more features than rows."""

    @abstractmethod
    def gram(self, centre: Float64, *, precise: bool = True) -> Float64:
        """(X − centre)(X − centre)ᵀ, (n, n) float64: every two rows' inner product; centre is (d,).

        Unless ``precise``, differences and products may be rounded to float32.
        """

    @abstractmethod
    def combination(self, a: Float64) -> Float64:
        """Xᵀ a = Σ aᵢ xᵢ for a (n,): (d,)."""


class Rows(ABC):
    """One training set in one engine's memory.

    Attributes
    ----------
    n_rows, n_features : int
    n_columns : int or None
        K, or None where y is (n,) and W (p,).
    sparse : bool
    entries, nbytes : int
        Of X as it was given: what it stores, and in how many bytes.
    pairs : float
        Sum of squares of the rows' numbers of entries where these are sparse; 0 where X is dense.
    dtype : numpy.dtype
        Storage of X: float32 or float64. Sums are accumulated in float64 either way.
    weight_sum : float, or (K,) float64
        S = Σ sᵢ, which is n_rows when there are no sample weights.
    targets : Targets
        The labels and weights on the host, where ``Engine.place`` made these rows; samples have none.
    rates : Rates
        How long the engine's work on these rows takes.
    held : Rows or None
        Where these rows are not in memory, a sample of them that is: ``pick`` and ``sample`` choose from it.
    held_rows : RowSample or None
        Which rows these are, and their factors.
    """

    n_columns: int | None = None
    held: Rows | None = None
    held_rows: RowSample | None = None
    sparse = False
    pairs = 0.0
    targets: Targets

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[np.float32] | np.dtype[np.float64],
        weight_sum: float,
    ) -> None:
        self.n_rows, self.n_features = shape
        self.dtype = dtype
        self.weight_sum = weight_sum
        self.entries = self.n_rows * self.n_features
        self.nbytes = self.entries * dtype.itemsize
        self._tally = [0.0]
        self._share = 1.0
        self._largest: float | None = None

    def placed(self, targets: Targets, rates: Rates) -> Rows:
        """These rows, with what the host knows of them."""
        self.targets, self.rates = targets, rates
        return self

    @property
    def reads(self) -> float:
        """How often X has been read so far, the engine's own count.

        One fused pass is one read, two matrix-vector products are two, and a read that serves K columns is
        one. Rows and the samples taken from them share one count, in which a pass over a tenth of the rows is
        a tenth of a read; so do rows of some columns, by the share that they have of X's entries.
        """
        return self._tally[0]

    def _count(self, reads: float) -> None:
        self._tally[0] += reads * self._share

    def _share_tally(self, sample: Rows) -> None:
        """Make ``sample`` count into this tally, copying its rows included."""
        sample._tally = self._tally
        sample._share = self._share * sample.n_rows / self.n_rows
        sample._count(1.0)

    def _share_tally_of_columns(self, restricted: Rows) -> None:
        """Make ``restricted``, which has some of these columns, count into this tally; copying is a read.

        A pass over them is as much of a read as they have of X's entries.
        """
        self._count(1.0)
        restricted._tally = self._tally
        restricted._share = self._share * restricted.entries / max(1, self.entries)

    @abstractmethod
    def loss_grad(self, W: Float64) -> tuple[Any, Float64]:
        """Mean loss (1/S) Σ sᵢ ℓ(zᵢ, yᵢ) in nats, a float or (K,), and its gradient (p,)."""

    @abstractmethod
    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        """(1/S) Σ sᵢ hᵢ x̃ᵢ (x̃ᵢᵀ V), h = a(1 − a), x̃ = (x, 1): the loss Hessian at W times V (p,)."""

    @abstractmethod
    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        """Plain gradient descent on mean loss + shrink/2 ‖W[:d]‖², the whole loop inside the engine.

        W ← W − learning_rate ∇J, ``steps`` times. With ``fit_intercept=False`` the last entry
        of W does not move and does not count in the gradient norm.
        """

    @abstractmethod
    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        """The loss Hessian at W in the coordinates x̂ = ((x − centre)/scale, 1): (p, p), symmetric.

        (1/S) Σ sᵢ hᵢ x̂ᵢ x̂ᵢᵀ, with zᵢ from W and xᵢ as they are. Over the rows of ``sample``, where given,
        with weights sᵢ × factor, divided by their sum.

        With ``precision="float32"`` products may be rounded to that and their factors to TF32 (10 bits after
        the leading one), in these coordinates: the answer conditions a solver's steps, it does not decide
        where they end. centre and scale are (d,); for CSR rows centre must be zero.
        """

    def expect_hessian(self, centre: Float64, scale: Float64, precision: Precision) -> bool:  # noqa: ARG002
        """Say that where ``loss_grad`` is asked next, ``hessian`` will be as well, in these coordinates.

        True where both then take one read.
        """
        return False

    def low_precision_hessian(
        self,
        W: Float64,  # noqa: ARG002
        centre: Float64,  # noqa: ARG002
        scale: Float64,  # noqa: ARG002
        *,
        sample: RowSample | None = None,  # noqa: ARG002
    ) -> LowPrecisionHessian | None:
        """``hessian`` from products of a few bits, at a fraction of its price.

        None where the engine has no such products for this p, or where these rows are beyond float32.
        """
        return None

    @abstractmethod
    def hessian_diagonal(self, W: Float64) -> Float64:
        """(1/S) Σ sᵢ hᵢ x̃ᵢⱼ², (p,): the diagonal of the loss Hessian at W."""

    def largest_entry(self) -> float:
        """max |Xᵢⱼ|. Bounds a row's length by sqrt(d) times itself; one read, cached."""
        if self._largest is None:
            self._largest = self._largest_entry()
        return self._largest

    @abstractmethod
    def _largest_entry(self) -> float:
        """As ``largest_entry``, and counted."""

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        """An upper bound on maxᵢ ‖((xᵢ − centre)/scale, 1)‖; at most one read. centre and scale are (d,).

        Here from the largest entry; engines that look at every row say how long the longest with weight is.
        """
        entries = (self.largest_entry() + np.abs(centre)) / scale
        return math.sqrt(float(entries @ entries) + 1.0)

    @abstractmethod
    def logits(self, W: Float64) -> Float64:
        """z = X W[:d] + W[d] of every row: (n,), or (n, K). One read."""

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:  # noqa: ARG002
        """A host copy of these entries of dense X, (m, columns); not counted as a read: it is for a few."""
        raise TypeError(f"{type(self).__name__} hand out no entries: only dense rows do")

    def column_moments(self, *, centred: bool) -> ColumnMoments:
        """Means and spreads of the columns, from evenly spaced rows that are not counted as a read.

        Weighted, so that a row of weight two counts like the row twice. Uncentred, means are 0 and the root
        of the mean square stands for the deviation. They steer the iterations and decide nothing, so that a
        few thousand rows will do. For dense rows.
        """
        n, d = self.n_rows, self.n_features
        size = min(n, _MOST_ROWS, max(_LEAST_ROWS, _MOST_ENTRIES // d))
        rows = np.linspace(0, n - 1, size).astype(np.intp)
        s = self.targets.weights_of(rows)
        total = float(s.sum())
        if total == 0.0:  # all weight is on rows between the chosen ones
            s, total = np.ones(len(rows)), float(len(rows))
        s = s / total
        mean, deviation = np.zeros(d), np.empty(d)
        width = max(1, _PIECE // size)
        for start in range(0, d, width):
            columns = slice(start, start + width)
            piece = self.take(rows, columns).astype(np.float64)
            if centred:
                mean[columns] = s @ piece
                piece -= mean[columns]
            deviation[columns] = _root_mean_square(piece, s)
        return ColumnMoments(mean, deviation)

    @property
    def most_picked(self) -> int:
        """Rows that a sample can have."""
        return self.n_rows

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        """About ``size`` rows that stand for all, drawn at random (sampling.py)."""
        return self.targets.sampler(self.n_features * self.dtype.itemsize).pick(size, random)

    @abstractmethod
    def sample(self, picked: RowSample) -> Rows:
        """A copy of the picked rows as rows of the same engine, with weights sᵢ × factor."""

    def restricted(self, columns: NDArray[np.intp]) -> Rows:
        """A copy of these columns of X (k,) as rows of the same engine, with the same labels and weights.

        Answers are for W (k + 1,), intercept last, in the order of ``columns``.

        Raises
        ------
        ValueError
            There is no column, or one is named twice, or is not one of X's.
        """
        columns = _checked_columns(columns, self.n_features)
        restricted = self._restricted(columns)
        if self.sparse:
            restricted.nbytes = self._bytes_of(restricted)
        self._share_tally_of_columns(restricted)
        if hasattr(self, "rates"):
            restricted.placed(self.targets, self.rates)
        return restricted

    def _bytes_of(self, part: Rows) -> int:
        """What sparse X would take of which ``part`` is left, with numbers as wide as here."""
        values = self.dtype.itemsize
        numbers = (self.nbytes - values * self.entries) // (self.entries + self.n_rows + 1)
        return values * part.entries + numbers * (part.entries + part.n_rows + 1)

    @abstractmethod
    def _restricted(self, columns: NDArray[np.intp]) -> Rows:
        """As ``restricted``, for columns that have been checked; neither counted nor ``placed``."""

    def among_rows(self) -> AmongRows | None:
        """The same rows as what answers for their inner products; None where they do not know each other."""
        return None

    def column_descent(self) -> ColumnDescent | None:
        """The same rows as what coordinate descent goes over; None where they are not kept by columns."""
        return None

    def quantised(self, centre: Float64, scale: Float64) -> Quantised | None:  # noqa: ARG002
        """A copy in 8 bits, for solvers that read X many times; centre and scale are (d,).

        None where the engine has none, where X is too small to be worth one, or cannot be held in one.
        A pass over the copy counts as many reads as the copy has bytes for each of X's.
        """
        return None


def _checked_columns(columns: Any, d: int) -> NDArray[np.intp]:
    """Distinct numbers of columns (k,), k ≥ 1."""
    given = np.asarray(columns)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu":
        raise ValueError(
            f"columns has shape {given.shape} and dtype {given.dtype}; it must be (k,) integers, with k ≥ 1"
        )
    checked: NDArray[np.intp] = np.ascontiguousarray(given, dtype=np.intp)
    if checked.min() < 0 or checked.max() >= d:
        raise ValueError(
            f"columns are numbered from {checked.min()} to {checked.max()}; X's are from 0 to {d - 1}"
        )
    in_order = np.sort(checked)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(twice):
        raise ValueError(f"columns has {twice[0]} more than once; they must be distinct")
    return checked


def _root_mean_square(piece: Float64, s: Float64) -> Float64:
    """√(Σ sᵢ xᵢⱼ²), (columns,); s sums to 1."""
    with np.errstate(over="ignore", under="ignore"):
        root: Float64 = np.sqrt(s @ np.square(piece))
    # The squares of 1e200 and of 1e-200 are beyond float64: such columns are scaled for it.
    far = np.flatnonzero(~((root > _SQUARES) & (root < 1.0 / _SQUARES)))
    if len(far):
        part = piece[:, far]
        largest = np.abs(part).max(axis=0)
        largest[largest == 0.0] = 1.0
        root[far] = largest * np.sqrt(s @ np.square(part / largest))
    return root
