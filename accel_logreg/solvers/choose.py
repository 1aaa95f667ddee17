"""Which solver gets to the optimum soonest: a prediction for each that can take the problem."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from accel_logreg.solvers.costs import ClassCosts, Costs, passes, sampling_rate

_USUAL_COST = 0.5  # nats
_SAMPLED = 0.03  # share of the rows that the nested samples see
_CG_PASSES = 40  # gradients and products of a Newton-CG fit: 30 to 50 on problems of moderate condition
# Of few rows an unknown, 14 to 113 were measured with n from p/4 to 17 p at C = 1, and 2,200 to 2,800 at
# C = 1e4 and 1e6: there the penalty alone bounds the curvature along most axes.
# Of sparse rows, preconditioned by the diagonal at hand, 13 to 30 at C = 1, 60 to 110 at 1e3 to 1e5.
_CG_SPARSE, _CG_OF_C_SPARSE = 20, 0.17
_CG_TALL, _CG_SQUARE, _CG_OF_C = 15, 80, 0.35
_FEW_ROWS = 25  # an unknown
# What 57 drawn problems of 40 to 1,500 columns took, over what is reckoned here: vectors, calls, and steps
# that are not full ones. With these the chosen solver takes 1.14 times the quickest one's time, 1.29 without.
_FEW_UNKNOWNS = 101  # up to which a Newton step is cheap anyhow
_FEW_NEWTON, _FEW_CALLS, _FEW_CG, _FEW_GRAM = 2.0, 1e-3, 3.0, 0.7
_NEWTON_STEPS = 4, 6  # factors of all rows, where these are many an unknown, and where they are few
_EXACT_PASSES = 5  # of these and to make the copy, where the others read a copy in few bits
_CG_VECTORS = 30e-9  # seconds an unknown, in the vectors of a pass: the memory's pairs
_FACTORS_OF_C = 2.5
_INTERPRETED = 150e-6  # seconds of a Newton step beside the engine: what small sparse fits are spared
_RUNAWAY, _BESIDES = 3.0, 10.0  # times the reads that were predicted, and so many
_GRAM_STEPS = 10
_GRAM_STEP_CALLS = 40e-6  # of NumPy, in one step of gradient descent among the rows
_MOST_OF_CLASSES = 4096  # unknowns of all classes up to which their Hessian is thought of
_EXACT_OF_CLASSES, _MODEL_OF_CLASSES = 6, 0.5  # gradients, and what a product from a model costs
_CLASS_CALLS = 50e-6  # seconds of a pass beside the engine
_MOST_SPARSE = 4096  # unknowns up to which a Hessian of sparse rows is thought of
_MOST_ENTRIES = 1 << 27  # of a square matrix: 1 GiB of float64


@dataclass(frozen=True)
class Choice:
    """A solver's name, the reason in words, the predicted seconds and reads of X; the others, best first.

    most_reads : after these the next one is to go on: three times those predicted, or as many as take the
        time that the next one would.
    """

    solver: str
    why: str
    seconds: float
    reads: float
    others: tuple[str, ...] = ()
    most_reads: float = math.inf


@lru_cache(maxsize=64)  # a fit to 1,000 rows takes a tenth of a millisecond, a tenth of which is this
def choose(
    n: int,
    costs: Costs,
    *,
    sparse: bool,
    penalised: bool,
    tol: float = 1e-8,
    magnitude: int = 0,
    among_rows: bool = True,
) -> Choice:
    """The quickest of newton, newton-cg and newton-gram for n rows; ``magnitude`` is log10 of C, or of
    1/(λn), and ``among_rows`` whether rows have inner products.

    Each needs what the others do not: newton a Hessian of p² entries, newton-gram a penalty and a Gram
    matrix of n² entries, newton-cg nothing but time.
    """
    options = [_newton_cg(n, costs, sparse, magnitude)]
    if costs.p**2 <= _MOST_ENTRIES and not (sparse and costs.p > _MOST_SPARSE):
        options.append(_newton(n, costs, tol, magnitude))
    if penalised and among_rows and n < 2 * costs.p and n**2 <= _MOST_ENTRIES:
        options.append(_newton_gram(n, costs))
    options.sort(key=lambda choice: choice.seconds)
    best, others = options[0], options[1:]
    against = "".join(f"; {other.solver} {_seconds(other.seconds)}" for other in others)
    most_reads = math.inf
    if others:
        most_reads = _RUNAWAY * best.reads + _BESIDES
        most_reads = max(most_reads, best.reads * others[0].seconds / best.seconds)
    return Choice(
        best.solver,
        f"{best.why}, predicted {best.reads:.1f} reads of X, {_seconds(best.seconds)}{against}",
        best.seconds,
        best.reads,
        tuple(other.solver for other in others),
        most_reads,
    )


def choose_for_classes(n: int, costs: ClassCosts, *, sparse: bool, tol: float, among_rows: bool) -> Choice:
    """newton or newton-cg for the softmax of K classes: a Hessian of (K p)² entries, or one block a class.

    With fewer rows than columns the same problem among the rows, where these have inner products.
    """
    cg = _newton_cg_of_classes(n, costs, sparse)
    if among_rows and n < costs.p and n**2 <= _MOST_ENTRIES:
        why = f"{n} rows against {costs.p} unknowns a class: solved among the rows"
        return Choice("newton-gram", why, costs.gram(n), 3.0, ("newton-cg",))
    if sparse or costs.n_classes * costs.p > _MOST_OF_CLASSES:
        return cg
    best, other = sorted((cg, _newton(n, costs, tol, 0)), key=lambda choice: choice.seconds)
    why = f"{best.why}, predicted {best.reads:.1f} reads of X, {_seconds(best.seconds)}"
    return replace(best, why=f"{why}; {other.solver} {_seconds(other.seconds)}", others=(other.solver,))


def _newton_cg_of_classes(n: int, costs: ClassCosts, sparse: bool) -> Choice:
    passes = _EXACT_OF_CLASSES + _CG_PASSES * (1.0 if sparse else _MODEL_OF_CLASSES)
    why = f"{costs.n_classes} x {costs.p} unknowns: products and a block a class"
    return Choice("newton-cg", why, passes * (costs.gradient(n) + _CLASS_CALLS), passes)


def quicker_among_rows(n: int, costs: Costs, steps: int) -> bool:
    """Whether gradient descent takes less time through the rows' inner products than through X."""
    if n >= costs.p or n**2 > _MOST_ENTRIES:
        return False
    step = _GRAM_STEP_CALLS + 0.2e-9 * n**2
    return costs.gram(n) + steps * step < steps * costs.gradient(n)


def _newton(n: int, costs: Costs, tol: float, magnitude: int) -> Choice:
    p = costs.p
    start = min(0.2, p / (_SAMPLED * n))  # nats: where the samples leave off
    far = start / (0.5 * tol * _USUAL_COST)
    sizes = [n] + [n // 2**k for k in range(1, 24) if n // 2**k >= 4 * p]
    best = (float("inf"), 0.0, n)
    for rows in sizes:
        steps = passes(far, sampling_rate(p, rows, n) + 1e-3) + 1.0
        # All rows at once is Newton's own method: a few factors on the way, none of them sampled.
        factors = 1.0 if rows < n else _NEWTON_STEPS[n < _FEW_ROWS * p] * (1.0 + max(0, magnitude) / 3.0)
        if costs.pairs:  # rows of few nonzeros saturate: the curvature of rare columns changes to the end
            factors += _FACTORS_OF_C * max(0, magnitude)
        seconds = steps * costs.gradient(n) + factors * (costs.hessian(rows) + costs.factor())
        if costs.pairs:
            seconds += (steps + factors) * _INTERPRETED
        best = min(best, (seconds, steps + factors * rows / n, rows))
    seconds, reads, rows = best
    if not costs.pairs and n < _FEW_ROWS * p and p > _FEW_UNKNOWNS:
        seconds = _FEW_NEWTON * seconds + _FEW_CALLS
    of = "all" if rows == n else f"{rows} of {n}"
    return Choice("newton", f"{p} unknowns: a Hessian of {of} rows is cheap", seconds, reads)


def _newton_cg(n: int, costs: Costs, sparse: bool, magnitude: int) -> Choice:
    why = f"{costs.p} unknowns: Hessian products cost less than a Hessian"
    gradient, product = costs.gradient(n), costs.gradient(n) if sparse else costs.quantised_pass(n)
    passes = float(_CG_PASSES)
    if sparse:
        passes = _CG_SPARSE * 10.0 ** (_CG_OF_C_SPARSE * max(0, magnitude))
    if sparse and n * costs.entries <= costs.rates.compiled_entries:
        gradient = product = 2.0 * (gradient - costs.rates.call)  # in one call, on one thread
    if not sparse and n < _FEW_ROWS * costs.p:
        passes = _CG_TALL + _CG_SQUARE * min(1.0, 2.0 * costs.p / n)
        passes = max(passes, min(passes * 10.0 ** (_CG_OF_C * magnitude), 10.0 * costs.p))
    exact, others, share = passes, 0.0, 1.0
    if product < gradient:
        exact, others, share = float(_EXACT_PASSES), passes, 1.0 / costs.entry_bytes
    seconds = exact * gradient + others * product + passes * _CG_VECTORS * costs.p
    if not sparse and n < _FEW_ROWS * costs.p:
        seconds *= _FEW_CG
    return Choice("newton-cg", why, seconds, exact + others * share)


def _newton_gram(n: int, costs: Costs) -> Choice:
    step = n**3 / 6.0 / 40e9 + 4e-9 * n**2
    seconds = _FEW_GRAM * (3.0 * costs.gradient(n) + costs.gram(n) + _GRAM_STEPS * step)
    if costs.pairs:
        seconds += _GRAM_STEPS * _INTERPRETED
    return Choice("newton-gram", f"{n} rows against {costs.p} unknowns: solved among the rows", seconds, 3.0)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"
