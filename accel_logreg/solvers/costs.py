"""What a question costs on an engine: the few figures by which solvers decide.

Only ratios matter to a decision, and they move slowly from one processor to the next; a decision that is
a little wrong costs a little time, never the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from accel_logreg.interface.answers import Rates

# One core's Cholesky factor of a matrix that does not fit its cache: multiplications a second.
_FACTOR_RATE = 40e9
# Of sparse rows, measured with 60 to 2,000 columns, a hundredth to a tenth of them filled.
_SCATTERED = 3.0  # times a dense Hessian: rows are scattered into tiles, and multiplied in float64
_MOVED = 10e-9  # seconds an entry of a Hessian, to clear each thread's own and add them up
_PRODUCT = 3.0  # times what a rank-k update in float32 takes: both halves, in float64
_BLOCK_OF_A_ROW = 2.5e-9  # seconds at least
_EXPONENTIAL = 2e-9  # seconds a class and row


@dataclass(frozen=True)
class Costs:
    """Seconds on one engine, for rows with p unknowns, ``entries`` stored of ``entry_bytes`` each.

    ``pairs`` is the mean over sparse rows of the square of their entries; 0 for dense ones. More rows than
    ``in_memory`` are read from where X lies.
    """

    rates: Rates
    p: int
    entries: float
    entry_bytes: float
    pairs: float = 0.0
    in_memory: float = math.inf

    def reading(self, rows: float) -> float:
        """To bring X's bytes to memory."""
        if rows <= self.in_memory:
            return 0.0
        return rows * self.entries * self.entry_bytes * self.rates.source_byte

    def gradient(self, rows: float) -> float:
        """One pass over this many rows: at the memory's pace, or the processor's if that is slower."""
        rates = self.rates
        entry = rates.sparse_entry if self.pairs and rates.sparse_entry is not None else rates.entry
        passing = rows * self.entries * max(self.entry_bytes * rates.byte, entry) + rates.call
        return passing + self.reading(rows)

    def quantised_pass(self, rows: float) -> float:
        """One pass over a copy in few bits; no longer than a gradient, which takes its place."""
        if rows * self.entries < self.rates.quantised_from:
            return self.gradient(rows)
        return min(rows * self.entries * self.rates.quantised_entry + self.rates.call, self.gradient(rows))

    def hessian(self, rows: float, *, low_precision: bool = True) -> float:
        """All p² entries from this many rows, by halves: filling the tile, and its rank-k update.

        Of sparse rows by what is quicker: as dense ones, or by products of their nonzeros alone.
        From products of few bits where the engine has them, unless they are known not to do.
        """
        p, rates = self.p, self.rates
        tile_entry, multiplication = rates.tile_entry, rates.multiplication
        if low_precision and p >= rates.int8_from:
            tile_entry, multiplication = rates.int8_tile_entry, rates.int8_multiplication
        seconds = rows * p * (tile_entry + 0.5 * p * multiplication)
        if self.pairs:
            seconds = min(_SCATTERED * seconds, 0.5 * rows * self.pairs * rates.pair + _MOVED * p**2)
        return seconds + 2.0 * rates.call + self.reading(rows)

    def factor(self) -> float:
        """A Cholesky factor: p³/6 multiplications on the host, and p² numbers to move."""
        return self.p**3 / 6.0 / _FACTOR_RATE + 1e-9 * self.p**2 + 10e-6

    def gram(self, rows: float) -> float:
        """Every two rows' inner product, in float64: half the pace of float32."""
        return rows * rows * self.entries * self.rates.multiplication + self.rates.call


def passes(far: float, rate: float) -> float:
    """Gradients until a gap that shrinks by ``rate`` with each is ``far`` times smaller, on the average."""
    if rate >= 1.0:
        return math.inf
    return math.log(max(far, 1.0)) / -math.log(rate)


def sampling_rate(p: int, rows: float, n: int) -> float:
    """The factor by which a gradient shrinks the gap, preconditioned by a Hessian of ``rows`` rows of n.

    Of order p/rows for conjugate gradients on the spectrum of a sample covariance; 1.5 p/rows was
    measured at 28 and at 300 features.
    """
    return 1.5 * p / rows * (1.0 - rows / n)


@dataclass(frozen=True)
class ClassCosts(Costs):
    """The same for K classes; p is a class's."""

    n_classes: int = 1

    def gradient(self, rows: float) -> float:
        """One pass: at the memory's pace, or at that of two products with a matrix of K columns."""
        products = 2.0 * self.n_classes * rows * self.entries * _PRODUCT * self.rates.multiplication
        softmax = _EXPONENTIAL * rows * self.n_classes
        return max(super().gradient(rows), products) + softmax

    def hessian(self, rows: float, *, low_precision: bool = True) -> float:  # noqa: ARG002
        """All (K p)² entries: a block for each two classes, or all at once where features are few."""
        K, entries = self.n_classes, (self.n_classes * self.p) ** 2
        blocks = max(1, K * (K - 1) // 2)
        by_blocks = blocks * max(super().hessian(rows, low_precision=False), _BLOCK_OF_A_ROW * rows)
        at_once = rows * entries * 4.5 * self.rates.multiplication if K > 1 else math.inf
        return min(by_blocks, at_once) + _MOVED * entries / 10.0 + self.reading(rows)

    def factor(self) -> float:
        size = self.n_classes * self.p
        return size**3 / 6.0 / _FACTOR_RATE + 1e-9 * size**2 + 10e-6
