"""What proves a gap, at the price that it is worth: strong convexity, or the exact Hessian over all rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accel_logreg.interface.answers import Separation
from accel_logreg.interface.arrays import Float64
from accel_logreg.solvers.costs import Costs
from accel_logreg.solvers.problem import Certificate, GapKind, ProvableProblem, relative_gap

_ALWAYS = 128  # unknowns up to which the exact Hessian is always made
_MOST = 4096
_SHARE = 0.5  # of what the fit has cost so far
_SHARE_FREE = 3.0  # the same without a penalty, where nothing else proves that there is an optimum
_LITTLE, _LITTLE_FREE = 5e-4, 0.1  # seconds that are spent in any case
MARGIN = 2.0  # of an estimate: what J's third derivative may add
POLISHED = 1e-13  # of J: what may be left of the gap when the rows that separate have no loss left
_TAIL = 30.0  # nats beyond which a separated row's loss is nothing


@dataclass(frozen=True)
class Proof:
    """The least bound found, in nats; inf where there is none. And the exact Hessian, where it was made."""

    bound: float
    certificate: Certificate | None

    def gap(self, value: float) -> float:
        """As (J − J*)/J*."""
        return relative_gap(self.bound, value)


def affordable(problem: ProvableProblem, costs: Costs) -> bool:
    """Whether the exact Hessian over all rows is worth its price: it is a proof, and a step."""
    if problem.size <= _ALWAYS:
        return True
    spent = problem.reads * costs.gradient(problem.n_rows)
    price = costs.hessian(problem.n_rows, low_precision=False) + costs.factor()
    share, least = (_SHARE, _LITTLE) if problem.penalised else (_SHARE_FREE, _LITTLE_FREE)
    return problem.size <= _MOST and price <= max(least, share * spent)


def prove(
    problem: ProvableProblem,
    U: Float64,
    value: float,
    gradient: Float64,
    tol: float,
    costs: Costs,
    known: Certificate | None = None,
) -> Proof:
    """A bound on the gap at U, by what costs least first; a ``known`` Hessian nearby is free."""
    target = tol * value / (1.0 + tol)
    rounding = problem.rounding(U, value)
    bound = math.inf if known is None else known.bound(U, gradient, rounding)
    if not bound <= target and problem.residual_gap(gradient) <= target:
        bound = min(bound, problem.convex_gap(U, value, gradient))
    if not bound <= target and (known is None or known.U0 is not U) and affordable(problem, costs):
        known = problem.certificate(U)
        bound = min(bound, known.bound(U, gradient, rounding))
    flat = None if known is None else known.flat
    # A direction of no curvature is one along which J is constant, or one that separates, far out.
    if math.isfinite(bound) and flat is not None and not problem.constant_along(flat):
        bound = math.inf
    return Proof(bound, known)


def judged(
    problem: ProvableProblem, U: Float64, value: float, gradient: Float64, tol: float, costs: Costs
) -> tuple[float, GapKind] | None:
    """The relative gap by a proof, or by an exact Newton decrement; None where neither can be afforded."""
    proof = prove(problem, U, value, gradient, tol, costs)
    if math.isfinite(proof.bound):
        return proof.gap(value), GapKind.CERTIFIED
    if proof.certificate is None:
        return None
    return relative_gap(MARGIN * proof.certificate.decrement(gradient), value), GapKind.ESTIMATED


@dataclass(frozen=True)
class Apart:
    """A direction V (p,) that separates, and what it does; ``beyond`` is where the rows it moves have no
    loss.
    """

    V: Float64
    found: Separation

    def beyond(self, U: Float64) -> Float64:
        return U + (_TAIL / self.found.least) * self.V


def apart_along(
    problem: ProvableProblem, directions: list[Float64], before: Apart | None = None
) -> Apart | None:
    """The first of these directions that separates, by other columns than one found ``before``; both
    together.
    """
    for V in directions:
        found = problem.separating(V)
        if found is None:
            continue
        if before is None:
            return Apart(V, found)
        if set(found.columns.tolist()) - set(before.found.columns.tolist()):
            both = V / found.least + before.V / before.found.least
            found = problem.separating(both)
            return None if found is None else Apart(both, found)
    return None


def downhill(certificate: Certificate, gradient: Float64) -> list[Float64]:
    """Where a separating direction shows: down along no curvature, and in Newton's step."""
    newton = -certificate.solve(gradient)
    if certificate.flat is None:
        return [newton]
    return [-certificate.flat @ (certificate.flat.T @ gradient), newton]
