"""What a solver may ask of a problem, what it may spend, and what it returns.

Every solver is ``solver(problem, start, budget) -> Solution``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.answers import Descent, LowPrecisionHessian, RowSample, Separation
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Precision, Rows
from accel_logreg.solvers.costs import Costs

Report = Callable[[str], None]
_Result = TypeVar("_Result")


class Smooth(Protocol):
    """A smooth convex function of W (p,)."""

    def value_grad(self, W: Float64) -> tuple[float, Float64]: ...
    def hessian_product(self, W: Float64, V: Float64) -> Float64: ...


class Problem(Smooth, Protocol):
    """J over W (p,), the intercept last, in the coordinates that the solver is to work in."""

    size: int  # p
    n_rows: int
    sparse: bool
    penalised: bool  # λ > 0
    rank: int  # of a row's curvature: 1, or K − 1 for K classes

    @property
    def reads(self) -> float: ...
    def trivial(self) -> tuple[Float64, float]:
        """Where all that is known is the labels' share; and J there."""

    def gradient_norm(self, gradient: Float64) -> float: ...
    def separates(self, value: float) -> bool: ...


class Certificate(Protocol):
    """The exact Hessian at a point, factorised (problem/certificate.py)."""

    U0: Float64
    flat: Float64 | None

    def solve(self, g: Float64) -> Float64: ...
    def decrement(self, g: Float64) -> float: ...
    def bound(self, U: Float64, gradient: Float64, rounding: tuple[float, Float64]) -> float: ...
    def hidden(self, rounding: tuple[float, Float64]) -> float: ...
    def step(
        self, U: Float64, gradient: Float64, rounding: tuple[float, Float64]
    ) -> tuple[Float64, float]: ...


class Inverse(Protocol):
    """An approximate inverse Hessian."""

    def solve(self, g: Float64) -> Float64: ...


class ProvableProblem(Problem, Protocol):
    """One that knows bounds on its gap, in coordinates of about equal curvature."""

    def certificate(self, U: Float64) -> Certificate: ...
    def expect_certificate(self) -> bool: ...
    def rounding(self, U: Float64, value: float) -> tuple[float, Float64]: ...
    def convex_gap(self, U: Float64, value: float, gradient: Float64) -> float: ...
    def residual_gap(self, residual: Float64) -> float: ...
    def separating(self, V: Float64) -> Separation | None: ...
    def constant_along(self, flat: Float64) -> bool: ...
    def least_norm(self, U: Float64, flat: Float64, value: float) -> Float64: ...


class NewtonProblem(ProvableProblem, Protocol):
    """One that knows its Hessian, models of itself, and itself over some of its rows; and X's own
    coordinates.
    """

    def original(self, U: Float64) -> Float64: ...
    def coordinates(self, W: Float64) -> Float64: ...

    def hessian(
        self, W: Float64, *, sample: RowSample | None = None, precision: Precision = "float32"
    ) -> Float64: ...
    def low_precision_hessian(
        self, W: Float64, *, sample: RowSample | None = None
    ) -> LowPrecisionHessian | None: ...
    @property
    def most_picked(self) -> int: ...
    def quantised(self) -> Smooth | None: ...
    def jacobi(self, U: Float64) -> Inverse: ...
    def pick(self, size: int, random: np.random.RandomState) -> RowSample: ...
    def sample(self, picked: RowSample) -> NewtonProblem: ...
    def smoothed(self, share: float) -> None: ...


class ClassProblem(NewtonProblem, Protocol):
    """One of K classes, W (K p,) class by class."""

    n_classes: int

    def kronecker_factors(
        self, U: Float64, *, sample: RowSample | None = None
    ) -> tuple[Float64, Float64, Float64]: ...
    def model(self, picked: RowSample | None) -> ClassProblem | None: ...


class PlainProblem(Problem, Protocol):
    """One in the coordinates of X itself, whose λ and whose rows a solver may know."""

    l2: float
    fit_intercept: bool

    @property
    def rows(self) -> Rows: ...
    def descend(self, W: Float64, learning_rate: float, steps: int) -> Descent: ...
    def lipschitz(self, random_state: int | np.random.RandomState) -> float: ...


class Penalty(Protocol):
    """One whose minima have zeros (problem/penalty.py)."""

    @property
    def l1(self) -> Float64: ...
    @property
    def l2(self) -> Float64: ...
    @property
    def at_least_zero(self) -> NDArray[np.bool_] | None: ...
    @property
    def free(self) -> NDArray[np.bool_]: ...
    @property
    def kinked(self) -> NDArray[np.bool_]: ...
    def only(self, entries: NDArray[np.intp]) -> Penalty: ...
    def linear(self) -> Penalty: ...
    def value(self, u: Float64) -> float: ...
    def slope(self, u: Float64, gradient: Float64) -> Float64: ...
    def excess(self, gradient: Float64) -> Float64: ...


class CompositeProblem(Protocol):
    """A smooth loss over U (size,), in coordinates of about equal curvature, and a penalty with kinks."""

    size: int
    n_rows: int
    n_features: int
    drawn: bool  # whether its rows are a sample
    by_columns: bool  # whether ``descended`` answers
    stored: int  # numbers of X

    @property
    def penalty(self) -> Penalty: ...
    @property
    def reads(self) -> float: ...
    def loss_grad(self, U: Float64) -> tuple[float, Float64]: ...
    def hessian(self, U: Float64, *, sample: RowSample | None, precision: Precision) -> Float64: ...
    def hessian_product(self, U: Float64, V: Float64) -> Float64: ...
    def descended(self, U: Float64, gradient: Float64, tol: float, sweeps: int) -> Float64: ...
    def diagonal(self, U: Float64) -> Float64: ...
    def entries(self, columns: NDArray[np.intp]) -> NDArray[np.intp]: ...
    def restricted(self, columns: NDArray[np.intp]) -> CompositeProblem: ...
    def pick(self, size: int, random: np.random.RandomState) -> RowSample: ...
    def sample(self, picked: RowSample) -> CompositeProblem: ...
    def under(self, penalty: Any) -> CompositeProblem: ...
    def balanced(self, U: Float64, loss: float, gradient: Float64) -> bool: ...
    def gap(self, U: Float64, loss: float, gradient: Float64, *, roughly: bool = False) -> float: ...
    def second_gap(self, U: Float64, loss: float, gradient: Float64, gap: float) -> float: ...


@dataclass(frozen=True)
class Budget:
    """What a solver may spend, and whom it tells.

    tol : relative suboptimality to stop at
    max_iter : iterations or steps
    costs : what the engine's questions cost, in seconds
    random_state : seeds samples of rows and power iterations
    learning_rate : of gradient descent; None is 1/L
    max_reads : of X from here on, after which newton-cg hands over to another solver
    proving : of the reads so far, and how many more, a proof by strong convexity may take
    proof_products : Hessian products that one solve for it may take
    report : told what happens, a line at a time
    """

    tol: float
    max_iter: int
    costs: Costs
    random_state: int | np.random.RandomState = 0
    learning_rate: float | None = None
    max_reads: float = math.inf
    proving: tuple[float, float] = (2.0, 100.0)
    proof_products: int = 250
    report: Report = lambda _line: None

    @property
    def random(self) -> np.random.RandomState:
        """A generator: a seed's new one, or the caller's, which goes on from where it is."""
        state = self.random_state
        return state if isinstance(state, np.random.RandomState) else np.random.RandomState(state)


class GapKind(StrEnum):
    """What a gap is: an upper bound, or half the squared Newton decrement."""

    CERTIFIED = "certified"
    ESTIMATED = "estimated"


class DivergenceError(ValueError):
    """Gradient descent with this learning rate does not decrease the cost."""


@dataclass
class History:
    """The course of a fit: one entry a step or iteration.

    cost : J in nats; gradient_norm : ‖∇J‖₂; seconds : since the solver began; reads : of X so far.
    """

    cost: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    _start: float = field(default_factory=time.perf_counter)

    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    def append(self, cost: float, gradient_norm: float, reads: float) -> None:
        self.cost.append(cost)
        self.gradient_norm.append(gradient_norm)
        self.seconds.append(self.elapsed())
        self.reads.append(reads)

    @classmethod
    def of_run(cls, costs: Float64, gradient_norms: Float64, seconds: float, reads: float) -> History:
        """The course of a loop that kept no clock and no count: both are spread evenly over it."""
        share = np.arange(1, len(costs) + 1) / len(costs)
        return cls(
            costs.tolist(), gradient_norms.tolist(), (seconds * share).tolist(), (reads * share).tolist()
        )

    def arrays(self) -> dict[str, Float64]:
        return {
            "cost": np.array(self.cost),
            "gradient_norm": np.array(self.gradient_norm),
            "seconds": np.array(self.seconds),
            "reads": np.array(self.reads, dtype=np.float64),
        }


@dataclass(frozen=True)
class Solution:
    """Where a solver stopped.

    W : (p,) float64
    n_iter : steps or iterations done
    gap : bound on, or estimate of, the relative suboptimality (J − J*)/J*
    trouble : why it stopped short, with a remedy; empty if it did what was asked
    separation : the direction in which J falls for ever, where there is no finite optimum
    """

    W: Float64
    n_iter: int
    gap: float
    gap_kind: GapKind
    history: History
    trouble: str = ""
    separation: Separation | None = None


def require_finite(value: float, gradient: Float64) -> None:
    """Raise FloatingPointError where J or ∇J is not finite at the start: X is not, or is too large."""
    if not (math.isfinite(value) and np.isfinite(gradient).all()):
        raise FloatingPointError("J or its gradient is not finite")


def relative_gap(gap: float, value: float) -> float:
    """An absolute gap g as (J − J*)/J*: since J* ≥ J − g, at most g/(J − g)."""
    return gap / (value - gap) if gap < value else math.inf


def shortfall(solver: str, n_iter: int, gap: float, kind: GapKind, tol: float, max_iter: int) -> str:
    """What to say of a Newton solver that stopped above ``tol``, with the remedy."""
    remedy = f"raise max_iter above {max_iter}" if n_iter >= max_iter else "lower C or raise tol"
    return (
        f"{solver} stopped after {n_iter} iterations at a relative suboptimality of {gap:.2g} ({kind}), "
        f"above tol={tol:g}: {remedy}"
    )


def answered(questions: Generator[Any, Any, _Result], answer: Callable[[Any], Any]) -> _Result:
    """What comes of questions that are answered one after the other."""
    try:
        question = next(questions)
        while True:
            question = questions.send(answer(question))
    except StopIteration as end:
        result: _Result = end.value
        return result
