"""What a solver may ask of an objective, and what it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class DescentSteps(Protocol):
    @property
    def W(self) -> Float64: ...
    @property
    def costs(self) -> Float64: ...
    @property
    def gradient_norms(self) -> Float64: ...


class Smooth(Protocol):
    """A smooth convex function of W (p,)."""

    def value_grad(self, W: Float64) -> tuple[float, Float64]: ...
    def hessian_product(self, W: Float64, V: Float64) -> Float64: ...


class Problem(Smooth, Protocol):
    """J over W (p,), the intercept last."""

    size: int
    separation: str  # what to say where ``separates`` is true

    @property
    def reads(self) -> float: ...
    def gradient_norm(self, gradient: Float64) -> float: ...
    def separates(self, value: float) -> bool: ...
    def certified_gap(self, W: Float64, gradient: Float64) -> float: ...


class RowSample(Protocol):
    """Some rows of a problem, by index."""

    @property
    def rows(self) -> NDArray[np.intp]: ...


class Sampler(Protocol):
    """Draws about ``size`` rows that stand for all."""

    def pick(self, size: int) -> Any: ...


class RoughMatrix(Protocol):
    """A Hessian from products of few bits."""

    @property
    def matrix(self) -> NDArray[np.float32]: ...
    @property
    def noise(self) -> float: ...  # as a share of a column's square, the largest


class NewtonProblem(Problem, Protocol):
    """One that knows its Hessian, and itself over some of its rows."""

    n_rows: int

    def hessian(self, W: Float64, *, picked: Any = None, precise: bool = False) -> Float64: ...
    def rough_hessian(self, W: Float64, *, picked: Any = None) -> RoughMatrix | None: ...
    def sample(self, picked: Any) -> NewtonProblem: ...


class DescentProblem(Problem, Protocol):
    """One whose engine can run gradient descent by itself."""

    def descend(self, W: Float64, learning_rate: float, steps: int) -> DescentSteps: ...
    def lipschitz(self, random_state: int | np.random.RandomState) -> float: ...


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
    gap_kind : "certified" (an upper bound) or "estimated" (half the squared Newton decrement)
    trouble : why it stopped short, with a remedy; empty if it did what was asked
    """

    W: Float64
    n_iter: int
    gap: float
    gap_kind: str
    history: History
    trouble: str = ""


def require_finite(value: float, gradient: Float64) -> None:
    """Raise FloatingPointError where J or ∇J is not finite at the start: X is not, or is too large."""
    if not (math.isfinite(value) and np.isfinite(gradient).all()):
        raise FloatingPointError("J or its gradient is not finite")


Report = Callable[[str], None]


def relative_gap(gap: float, value: float) -> float:
    """An absolute gap g as (J − J*)/J*: since J* ≥ J − g, at most g/(J − g)."""
    return gap / (value - gap) if gap < value else math.inf


def shortfall(solver: str, n_iter: int, gap: float, kind: str, tol: float, max_iter: int) -> str:
    """What to say of a Newton solver that stopped above ``tol``, with the remedy."""
    remedy = f"raise max_iter above {max_iter}" if n_iter >= max_iter else "lower C or raise tol"
    return (
        f"{solver} stopped after {n_iter} iterations at a relative suboptimality of {gap:.2g} ({kind}), "
        f"above tol={tol:g}: {remedy}"
    )
