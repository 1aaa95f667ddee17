"""Plain gradient descent with a fixed learning rate: the lesson's algorithm (Cauchy 1847).

W ← W − α ∇J(W). The loop runs inside the engine; this file cuts it into stretches of about a
quarter of a second, so that Ctrl-C, progress and a diverging cost are noticed in between.
"""

from __future__ import annotations

import math

import numpy as np

from accel_logreg.solvers.parts.newton_decrement import estimated_gap
from accel_logreg.solvers.problem import (
    DescentProblem,
    DivergenceError,
    Float64,
    History,
    Report,
    Solution,
    relative_gap,
)

_SECONDS_PER_STRETCH = 0.25
_HOPELESS = 100.0  # times the cost at the start
_PRODUCTS_FOR_GAP = 20


def gradient_descent(
    problem: DescentProblem,
    W: Float64,
    *,
    learning_rate: float | None,
    max_iter: int,
    random_state: int | np.random.RandomState = 0,
    report: Report,
) -> Solution:
    """``max_iter`` steps from W. ``learning_rate=None`` means 1/L; ``random_state`` seeds its estimate.

    Raises
    ------
    DivergenceError
        The cost is not finite, is a hundred times the first one, has not fallen at the end, or still
        goes up and down then.
    FloatingPointError
        J or its gradient is not finite at the start: X is not, or is too large.
    """
    history = History()
    alpha = 1.0 / problem.lipschitz(random_state) if learning_rate is None else learning_rate
    report(f"gradient-descent: learning rate {alpha:.4g}, {max_iter} steps")
    done, stretch = 0, 1
    while done < max_iter:
        steps = min(stretch, max_iter - done)
        began, reads = history.elapsed(), problem.reads
        descent = problem.descend(W, alpha, steps)
        seconds = history.elapsed() - began
        # The engine keeps no clock inside its loop: a stretch's time is spread evenly over its steps.
        share = np.arange(1, steps + 1) / steps
        history.cost.extend(descent.costs.tolist())
        history.gradient_norm.extend(descent.gradient_norms.tolist())
        history.seconds.extend((began + seconds * share).tolist())
        history.reads.extend((reads + np.round((problem.reads - reads) * share)).astype(int).tolist())
        if not math.isfinite(history.cost[0] + history.gradient_norm[0]):  # no step has been made yet
            raise FloatingPointError("J or its gradient is not finite")
        W = descent.W
        done += steps
        cost = history.cost[-1]
        if not math.isfinite(cost) or cost > _HOPELESS * history.cost[0]:
            raise _divergence(alpha, problem.lipschitz(random_state), history, cost)
        report(f"gradient-descent: step {done}/{max_iter}, cost {cost:.6g}")
        stretch = max(1, min(4 * stretch, int(steps * _SECONDS_PER_STRETCH / max(seconds, 1e-9))))
    value, gradient = problem.value_grad(W)
    history.reads[-1] = problem.reads
    # In a warm start at the minimum, rounding alone may raise the cost.
    risen = not value <= history.cost[0] * (1.0 + 1e-12)
    if risen or _oscillates(history.cost):
        L = problem.lipschitz(random_state)
        # Below 2/L the cost cannot rise, except by rounding.
        if risen or alpha > 2.0 / L:
            raise _divergence(alpha, L, history, value)
    gap, kind = relative_gap(problem.certified_gap(W, gradient), value), "certified"
    if math.isinf(gap):
        decrement = estimated_gap(problem, W, gradient, min(_PRODUCTS_FOR_GAP, max_iter))
        gap, kind = relative_gap(decrement, value), "estimated"
    return Solution(W, max_iter, gap, kind, history)


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
