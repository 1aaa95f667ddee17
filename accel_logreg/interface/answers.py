"""What crosses the interface beside arrays: samples of rows, an engine's pace, answers of several parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64


@dataclass(frozen=True)
class RowSample:
    """Some rows by index (m,) intp, in any order, and the factors (m,) their weights are multiplied by."""

    rows: NDArray[np.intp]
    factors: Float64


@dataclass(frozen=True)
class Rates:
    """Seconds that an engine's work takes, all threads together, measured where its figures stand.

    byte, entry : of X in a pass, whichever is slower
    tile_entry : of X, centred and scaled for a Hessian
    multiplication : in a Hessian's rank-k update
    call : of any question, before the first row
    int8_multiplication, int8_tile_entry : the same, of a Hessian from products of few bits, where the
        engine has those for p unknowns: from ``int8_from`` on
    quantised_entry : of a copy of dense X in few bits, in a pass over it; infinite where there is none
    quantised_from : entries of X from which such a copy is made
    sparse_entry : of sparse X in a pass, all caches taken together; as ``entry`` where it is None
    source_byte : of X that is not in memory, on its way there, beside what it takes once it is there
    compiled_entries : of sparse X up to which ``Engine.small_fit`` makes a fit by newton-cg in one call
    pair : two nonzeros of a sparse row in a Hessian, where those alone are multiplied
    """

    byte: float
    entry: float
    tile_entry: float
    multiplication: float
    call: float
    quantised_entry: float = math.inf
    quantised_from: float = 0.0
    int8_multiplication: float = math.inf
    int8_tile_entry: float = 0.0
    int8_from: float = math.inf
    sparse_entry: float | None = None
    pair: float = math.inf
    source_byte: float = 0.0
    compiled_entries: float = 0.0


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


@dataclass(frozen=True)
class SmallFit:
    """What ``Engine.small_fit`` returns.

    W : (p,) float64
    bound : a certified bound on J(W) − min J in nats
    costs, gradient_norms : (steps + 1,) float64, J and ‖∇J‖₂ at the start and after each step
    """

    W: Float64
    bound: float
    costs: Float64
    gradient_norms: Float64


@dataclass(frozen=True)
class LowPrecisionHessian:
    """What ``Rows.low_precision_hessian`` returns.

    matrix : (p, p) float32, symmetric, its diagonal as exact as that
    noise : what rounding adds to a column's square, as a share of it; the largest of all columns
    """

    matrix: NDArray[np.float32]
    noise: float


@dataclass(frozen=True)
class ColumnMoments:
    """What ``Rows.column_moments`` returns: means and deviations, each (d,) float64."""

    means: Float64
    deviations: Float64


@dataclass(frozen=True)
class Separation:
    """A direction along which every loss falls or stays, so that without a penalty there is no finite
    optimum.

    W : (p,) float64, the direction
    columns : (k,) intp, those that it is made of, but for hundredths
    n_apart, n_rows : rows that it moves to their own side for ever, of so many with weight
    least : the margin that nearly all of them gain along W
    """

    W: Float64
    columns: NDArray[np.intp]
    n_apart: int
    n_rows: int
    least: float

    @property
    def perfect(self) -> bool:
        """Whether it separates the classes, all rows; else in part (quasi-separation)."""
        return self.n_apart == self.n_rows
