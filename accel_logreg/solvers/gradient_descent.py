"""Plain gradient descent with a fixed learning rate: the lesson's algorithm (Cauchy 1847).

W ← W − α ∇J(W). The loop runs inside the engine; this file cuts it into chunks of about a
quarter of a second, so that Ctrl-C, progress and a diverging cost are noticed in between.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.problem import (
    Budget,
    DivergenceError,
    GapKind,
    History,
    PlainProblem,
    Solution,
)

_SECONDS_PER_CHUNK = 0.25
_HOPELESS = 100.0  # times the cost at the start


class Steps(Protocol):
    """What makes the steps, and where they have led."""

    def descend(self, learning_rate: float, steps: int) -> tuple[Float64, Float64]:
        """Go on by so many steps: J and ‖∇J‖₂ at the start of each."""

    def point(self) -> Float64:
        """W (p,), after the last step."""


class _EngineSteps:
    """The engine's own loop."""

    def __init__(self, problem: PlainProblem, W: Float64) -> None:
        self._problem, self._W = problem, W

    def descend(self, learning_rate: float, steps: int) -> tuple[Float64, Float64]:
        descent = self._problem.descend(self._W, learning_rate, steps)
        self._W = descent.W
        return descent.costs, descent.gradient_norms

    def point(self) -> Float64:
        return self._W


def gradient_descent(
    problem: PlainProblem, start: Float64 | None, budget: Budget, *, by: Steps | None = None
) -> Solution:
    """``budget.max_iter`` steps from ``start``, or zero, made by the engine or as ``by`` makes them.

    The gap is left open (inf): nothing in the steps says what it is.

    Raises
    ------
    DivergenceError
        The cost is not finite, is a hundred times the first one, has not fallen at the end, or still
        goes up and down then.
    FloatingPointError
        J or its gradient is not finite at the start: X is not, or is too large.
    """
    max_iter, random_state, report = budget.max_iter, budget.random_state, budget.report
    history = History()
    if by is None:
        by = _EngineSteps(problem, np.zeros(problem.size) if start is None else start)
    rate = budget.learning_rate
    alpha = 1.0 / problem.lipschitz(random_state) if rate is None else rate
    report(f"gradient-descent: learning rate {alpha:.4g}, {max_iter} steps")
    done, chunk = 0, 1
    while done < max_iter:
        steps = min(chunk, max_iter - done)
        began, reads = history.elapsed(), problem.reads
        costs, norms = by.descend(alpha, steps)
        seconds = history.elapsed() - began
        # The engine keeps no clock inside its loop: a chunk's time is spread evenly over its steps.
        share = np.arange(1, steps + 1) / steps
        history.cost.extend(costs.tolist())
        history.gradient_norm.extend(norms.tolist())
        history.seconds.extend((began + seconds * share).tolist())
        history.reads.extend((reads + np.round((problem.reads - reads) * share)).astype(int).tolist())
        if not math.isfinite(history.cost[0] + history.gradient_norm[0]):  # no step has been made yet
            raise FloatingPointError("J or its gradient is not finite")
        done += steps
        cost = history.cost[-1]
        if not math.isfinite(cost) or cost > _HOPELESS * history.cost[0]:
            raise _divergence(alpha, problem.lipschitz(random_state), history, cost)
        report(f"gradient-descent: step {done}/{max_iter}, cost {cost:.6g}")
        chunk = max(1, min(4 * chunk, int(steps * _SECONDS_PER_CHUNK / max(seconds, 1e-9))))
    W = by.point()
    value, _ = problem.value_grad(W)
    history.reads[-1] = problem.reads
    # In a warm start at the minimum, rounding alone may raise the cost.
    risen = not value <= history.cost[0] * (1.0 + 1e-12)
    if risen or _oscillates(history.cost):
        L = problem.lipschitz(random_state)
        # Below 2/L the cost cannot rise, except by rounding.
        if risen or alpha > 2.0 / L:
            raise _divergence(alpha, L, history, value)
    return Solution(W, max_iter, math.inf, GapKind.ESTIMATED, history)


def _oscillates(costs: list[float]) -> bool:
    """Whether the cost still rises in more than a tenth of the steps of the second half."""
    late = np.array(costs[len(costs) // 2 :])
    rises = np.count_nonzero(np.diff(late) > 1e-12 * late[:-1])
    return bool(rises > 0.1 * late.size)


def _divergence(alpha: float, L: float, history: History, cost: float) -> DivergenceError:
    return DivergenceError(
        f"learning_rate={alpha:.6g} does not converge: after {len(history.cost)} steps the cost is "
        f"{cost:.6g}, having been {min(history.cost):.6g} to {max(history.cost):.6g} from a start of "
        f"{history.cost[0]:.6g}. Any rate below 2/L = {2 / L:.4g} decreases it; use learning_rate='auto' "
        f"(1/L = {1 / L:.4g} on this data)."
    )
