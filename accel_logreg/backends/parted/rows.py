"""Rows that are a sum over parts: one problem, several that share X, or one of many classes.

An engine answers for a part at a time; a mean over all rows is the sum of the parts' means, each times its
share of the weight, in one tree (tree.py). What only steers a solver, samples and what is made of them, is
answered by a sample of the rows that stays in memory as rows of the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.parted.questions import Question, added
from accel_logreg.backends.parted.store import (
    Store,
    memory_needed,
    sample_size,
    shares_of,
    sorted_sample,
)
from accel_logreg.interface.answers import ColumnMoments, Descent, LowPrecisionHessian, RowSample
from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.classes import ClassRows
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.rows import AmongRows, ExpectedHessian, Precision, Rows
from accel_logreg.interface.targets import ClassTargets, Targets

# Seconds a byte of X takes on its way from a disk: a usual one's pace and not the one at hand, since what a
# solver decides is to be the same everywhere.
SOURCE = 1 / 1.5e9


class Parts:
    """What the rows of all kinds have in common: X's parts, labels and weights, an engine, and a sample."""

    def __init__(
        self, engine: Engine, store: Store, targets: Targets, held: Rows, held_rows: RowSample
    ) -> None:
        self.engine, self.store, self.targets = engine, store, targets
        self.held, self.held_rows = held, held_rows
        self._shares = shares_of(targets, store.X.bounds)

    def around(self, targets: Targets) -> Parts:
        """Other labels and weights for the same X."""
        of_sample = targets.of_sample(self.held_rows.rows, self.held_rows.factors)
        held = self.engine.place_targets(self.store.sample, of_sample)
        return Parts(self.engine, self.store, targets, held, self.held_rows)

    def mean(self, question: Question) -> tuple[tuple[Any, ...], float]:
        """The means over all rows, and the largest of the parts' numbers. One read."""
        return added(self.store.terms(self.engine, self.targets, self._shares, question))


class _PartedRows(Rows):
    """What is answered alike for one problem, several, and many classes."""

    parts: Parts

    def _of(self, parts: Parts) -> None:
        X = parts.store.X
        self.parts, self.targets = parts, parts.targets
        self.sparse, self.entries, self.nbytes, self.pairs = X.sparse, X.entries, X.nbytes, X.pairs
        self.held, self.held_rows = parts.held, parts.held_rows
        self._expected = ExpectedHessian()

    @property
    def most_picked(self) -> int:
        """Samples are taken from the one in memory."""
        return self.parts.held.n_rows

    def _mean(self, name: str, means: Callable[[Rows], tuple[Any, ...]]) -> tuple[Any, ...]:
        self._count(1)
        return self.parts.mean(Question(name, means))[0]

    def expect_hessian(self, centre: Float64, scale: Float64, precision: Precision) -> bool:
        self._expected.set(centre, scale, precision)
        return True

    def loss_grad(self, W: Float64) -> tuple[Any, Float64]:
        self.parts.store.latest = W.copy()
        if not self._expected:
            loss, gradient = self._mean("gradient", lambda rows: rows.loss_grad(W))
        else:
            centre, scale, precision = self._expected.taken()

            def both(rows: Rows) -> tuple[Any, ...]:
                rows.expect_hessian(centre, scale, precision)
                return *rows.loss_grad(W), rows.hessian(W, centre, scale, precision=precision)

            loss, gradient, H = self._with_longest("gradient-hessian", centre, scale, both)
            self._expected.keep(W, H)
        return (float(loss) if loss.ndim == 0 else loss), gradient

    def hessian_product(self, W: Float64, V: Float64) -> Float64:
        return np.asarray(self._mean("product", lambda rows: (rows.hessian_product(W, V),))[0])

    def hessian_diagonal(self, W: Float64) -> Float64:
        return np.asarray(self._mean("diagonal", lambda rows: (rows.hessian_diagonal(W),))[0])

    def hessian(
        self,
        W: Float64,
        centre: Float64,
        scale: Float64,
        *,
        sample: RowSample | None = None,
        precision: Precision = "float32",
    ) -> Float64:
        if sample is not None:
            return self.parts.held.hessian(W, centre, scale, sample=sample, precision=precision)
        known = self._expected.known(W, centre, scale, precision)
        if known is not None:
            return known
        of = self._with_longest(
            "hessian", centre, scale, lambda rows: (rows.hessian(W, centre, scale, precision=precision),)
        )
        return np.asarray(of[0])

    def _with_longest(
        self, name: str, centre: Float64, scale: Float64, means: Callable[[Rows], tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        """The means; the longest row is found on the way, for the next to ask."""
        self._count(1)
        question = Question(name, means, lambda rows: rows.longest_row(centre, scale))
        found, longest = self.parts.mean(question)
        self._longest_at = centre, scale, longest
        return found

    _longest_at: tuple[Float64, Float64, float] | None = None

    def longest_row(self, centre: Float64, scale: Float64) -> float:
        """What the last Hessian of all rows found on its way, in these coordinates; else one read."""
        if self._longest_at is None or self._longest_at[0] is not centre or self._longest_at[1] is not scale:
            self._with_longest("length", centre, scale, lambda _rows: ())
        assert self._longest_at is not None
        return self._longest_at[2]

    def _largest_entry(self) -> float:
        self._count(1)
        return self.parts.mean(Question("largest", most=lambda rows: rows.largest_entry()))[1]

    def low_precision_hessian(
        self, W: Float64, centre: Float64, scale: Float64, *, sample: RowSample | None = None
    ) -> LowPrecisionHessian | None:
        if sample is None:
            return None
        return self.parts.held.low_precision_hessian(W, centre, scale, sample=sample)

    def logits(self, W: Float64) -> Float64:
        self._count(1)
        return self.parts.store.logits(self.parts.engine, W)

    def take(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        """From the sample's rows, as far on as those asked for: few are, to see what a column is like."""
        return self.parts.held.take(rows * self.parts.held.n_rows // self.n_rows, columns)

    def column_moments(self, *, centred: bool) -> ColumnMoments:
        return self.parts.held.column_moments(centred=centred)

    def pick(self, size: int, random: np.random.RandomState) -> RowSample:
        """Some of the sample's rows, or all of them: their numbers there."""
        if size >= self.parts.held.n_rows:
            return RowSample(np.arange(self.parts.held.n_rows), np.ones(self.parts.held.n_rows))
        return self.parts.held.pick(size, random)

    def sample(self, picked: RowSample) -> Rows:
        """See ``pick``; reads of the sample are no reads of X."""
        held = self.parts.held
        return held if len(picked.rows) == held.n_rows else held.sample(picked)

    def among_rows(self) -> AmongRows | None:
        return None


class PartedRows(_PartedRows):
    """One problem."""

    def __init__(self, parts: Parts) -> None:
        X = parts.store.X
        super().__init__(X.shape, X.dtype, parts.targets.weight_sum)
        self._of(parts)

    def descend(
        self, W: Float64, learning_rate: float, shrink: float, steps: int, fit_intercept: bool
    ) -> Descent:
        """As in ``Rows``; the steps are made on the host, each from a pass over all parts."""
        W = W.copy()
        costs, norms = np.empty((2, steps))
        for step in range(steps):
            costs[step], gradient = self.loss_grad(W)
            gradient[:-1] += shrink * W[:-1]
            if not fit_intercept:
                gradient[-1] = 0.0
            costs[step] += 0.5 * shrink * float(W[:-1] @ W[:-1])
            norms[step] = np.sqrt(gradient @ gradient)
            W -= learning_rate * gradient
        return Descent(W, costs, norms)

    def _restricted(self, columns: NDArray[np.intp]) -> Rows:
        return restricted(self.parts, columns)


class PartedColumns(_PartedRows, ColumnRows):
    """Several problems that share X: a read serves them all."""

    def __init__(self, parts: Parts) -> None:
        X = parts.store.X
        Rows.__init__(self, X.shape, X.dtype, parts.targets.weight_sum)
        self._of(parts)
        self.n_columns = parts.targets.n_columns

    def column(self, k: int) -> Rows:
        return PartedRows(self.parts.around(self.targets.column(k)))

    def around(self, targets: Targets) -> ColumnRows:
        rows = PartedColumns(self.parts.around(targets))
        rows._tally, rows._share, rows.rates = self._tally, self._share, self.rates
        return rows

    def _loss_grad(self, W: Float64) -> tuple[Float64, Float64]:
        return self.loss_grad(W)

    def _hessian_product(self, W: Float64, V: Float64) -> Float64:
        return self.hessian_product(W, V)

    def logits(self, W: Float64) -> Float64:
        W = self._checked("W", W)
        self._count(1)
        return self.parts.store.logits(self.parts.engine, W)

    def _restricted(self, columns: NDArray[np.intp]) -> ColumnRows:
        rows = restricted(self.parts, columns)
        assert isinstance(rows, ColumnRows)
        return rows

    def sample(self, picked: RowSample) -> ColumnRows:
        rows = super().sample(picked)
        assert isinstance(rows, ColumnRows)
        return rows

    descend = ColumnRows.descend
    hessian_last = ColumnRows.hessian_last


class PartedClasses(_PartedRows, ClassRows):
    """One problem of K classes."""

    def __init__(self, parts: Parts) -> None:
        X, targets = parts.store.X, parts.targets
        assert isinstance(targets, ClassTargets)
        Rows.__init__(self, X.shape, X.dtype, targets.weight_sum)
        self._of(parts)
        self.n_classes = targets.n_classes

    @property
    def _steering(self) -> ClassRows:
        assert isinstance(self.held, ClassRows)
        return self.held

    def two_classes(self) -> Rows:
        """The same rows and weights with labels of two classes, for questions that no label matters to."""
        y = np.zeros(self.n_rows, dtype=np.int8)
        rows = PartedRows(self.parts.around(Targets(y, self.targets.s)))
        rows._tally, rows._share = self._tally, self._share
        return rows

    def kronecker_factors(
        self, W: Float64, centre: Float64, scale: Float64, *, sample: RowSample | None = None
    ) -> tuple[Float64, Float64]:
        """Of the sample, for they stand for a Hessian and decide nothing."""
        return self._steering.kronecker_factors(W, centre, scale, sample=sample)

    def standardised_sample(
        self, picked: RowSample | None, centre: Float64, scale: Float64
    ) -> ClassRows | None:
        return self._steering.standardised_sample(picked, centre, scale)

    def curvature_sums(self, W: Float64) -> tuple[Float64, Float64]:
        def ask(rows: Rows) -> tuple[Any, ...]:
            assert isinstance(rows, ClassRows)
            return rows.curvature_sums(W)

        squares, sums = self._mean("curvature", ask)
        return squares, sums

    def hessian_diagonal(self, W: Float64) -> Float64:
        return self.curvature_sums(W)[0]

    def intercept_hessian(self, W: Float64) -> Float64:
        def ask(rows: Rows) -> tuple[Any, ...]:
            assert isinstance(rows, ClassRows)
            return (rows.intercept_hessian(W),)

        return np.asarray(self._mean("intercepts", ask)[0])

    def sample(self, picked: RowSample) -> ClassRows:
        rows = super().sample(picked)
        assert isinstance(rows, ClassRows)
        return rows

    def _restricted(self, columns: NDArray[np.intp]) -> ClassRows:
        rows = restricted(self.parts, columns)
        assert isinstance(rows, ClassRows)
        return rows

    descend = ClassRows.descend


def place_parts(engine: Engine, X: PartedMatrix, targets: Targets, max_memory: int) -> tuple[Rows, Store]:
    """Rows of X, and what they read, after one pass over X that takes a sample and keeps what fits.

    Raises
    ------
    MemoryError
        ``max_memory`` bytes do not do: what is needed, for what, and the least that would do.
    SourceError
        X cannot be read.
    """
    least = require_memory(X, targets, max_memory)
    store = Store(X, max_memory - least)
    return place_store(engine, store, targets, max_memory), store


def require_memory(X: PartedMatrix, targets: Targets, max_memory: int) -> int:
    """Bytes that a fit takes beside the parts that stay; raises MemoryError where there are not so many."""
    columns = targets.n_classes if isinstance(targets, ClassTargets) else targets.n_columns
    needed = memory_needed(X, targets.nbytes, columns)
    least = sum(needed.values())
    if least > max_memory:
        sizes = ", ".join(f"{size / 1e6:.4g} MB for {what}" for what, size in needed.items())
        raise MemoryError(
            f"a fit to {X.where}, {X.shape[0]} x {X.n_features} {X.dtype}, needs {sizes}; max_memory is "
            f"{max_memory / 1e6:.4g} MB. Remedy: max_memory='{-(-least // 10**6)}MB' or more"
        )
    return least


def place_store(engine: Engine, store: Store, targets: Targets, max_memory: int) -> Rows:
    """Rows of a store, after one pass over it that takes the sample. Raises MemoryError as above."""
    X = store.X
    require_memory(X, targets, max_memory)
    row_bytes = max(1, X.nbytes // X.shape[0])
    picked = targets.sampler(row_bytes).pick(sample_size(X), np.random.RandomState(X.seed))
    store.picked = sorted_sample(picked)
    store.sample = store.gathered(store.picked.rows)
    rows = rows_of_store(engine, store, targets)
    rows._count(1)
    return rows


def rows_of_store(engine: Engine, store: Store, targets: Targets) -> Rows:
    """Rows of a store that has taken its sample, with other labels and weights."""
    held = engine.place_targets(store.sample, targets.of_sample(store.picked.rows, store.picked.factors))
    rows = rows_over(Parts(engine, store, targets, held, store.picked))
    return rows.placed(targets, replace(engine.rates, source_byte=SOURCE))


def rows_over(parts: Parts) -> Rows:
    """The rows of the kind that the targets are."""
    if isinstance(parts.targets, ClassTargets):
        return PartedClasses(parts)
    return PartedRows(parts) if parts.targets.y.ndim == 1 else PartedColumns(parts)


def restricted(parts: Parts, columns: NDArray[np.intp]) -> Rows:
    """Some columns of X: in memory where there is room for them, else as they come with the others."""
    store, targets = parts.store, parts.targets
    narrow = store.narrowed(columns)
    if narrow.X.nbytes <= store.room:
        return parts.engine.place_targets(narrow.gathered(np.arange(narrow.X.shape[0])), targets)
    held = parts.engine.place_targets(
        narrow.sample, targets.of_sample(parts.held_rows.rows, parts.held_rows.factors)
    )
    return rows_over(Parts(parts.engine, narrow, targets, held, parts.held_rows))
