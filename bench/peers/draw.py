"""``--draw N --seed S`` and ``--real``: our fit beside the peers' on problems that nobody chose.

The solvers of five libraries that were strongest in full runs, each from loose to tight until it is within
1e-6, with both thread settings. Each problem has about ten seconds; rounds go in turns as in a full run.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from accel_logreg.measure import machine
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_words, significant
from bench.harness.process import Process
from bench.judge import optimum
from bench.judge.optimum import Optimum
from bench.peers.contest import Contest, Pace
from bench.peers.results import PROMISE, TARGET, ShapeResult
from bench.peers.solvers import DEFAULT, OURS, SOLVERS, Solver
from bench.peers.station import Sampling, Station, close
from bench.problems.problem import Float64, Problem
from bench.report.table import plain_lines

Say = Callable[[str], None]
_DENSE = (
    OURS, "scikit-learn newton-cholesky", "glum irls-ls", "sklearnex lbfgs", "snapml primal", "glum lbfgs",
    "scikit-learn lbfgs", "scikit-learn newton-cg", "liblinear-multicore", "snapml dual",
)  # fmt: skip
_SPARSE = (
    OURS, "snapml primal", "liblinear-multicore", "glum lbfgs", "scikit-learn newton-cg", "snapml dual",
    "scikit-learn lbfgs", "scikit-learn newton-cholesky", "glum irls-ls",
)  # fmt: skip
_CLASSES = (
    OURS, "scikit-learn lbfgs", "sklearnex lbfgs", "scikit-learn newton-cg", "scikit-learn newton-cholesky",
)  # fmt: skip
_L1 = (
    OURS, "adelie", "skglm ProxNewton L1", "celer", "glum irls-cd", "liblinear-multicore L1",
    "scikit-learn liblinear L1", "snapml L1",
)  # fmt: skip
_QUADRATIC, _MANY = ("scikit-learn newton-cholesky", "glum irls-ls"), 500
_WORST = 10
_JUDGE_SECONDS = 10.0  # what our own Newton may take for J*; else it is the lowest J of all runs
# Every process stays from problem to problem, as a user's does.
_PACE = Pace(
    seconds=10.0,
    looking=1.0,
    rounds=3,
    must=1,
    patience=3.0,
    shortest=1.0,
    longest=20.0,
    hopeless=20.0,
    stop=TARGET,
    cold=False,
    sampling=Sampling(calls=20, seconds=0.08, rest=0.0),
)


def compete(problems: Iterable[Problem], say: Say) -> Iterator[ShapeResult]:
    """Each problem's result, as it comes."""
    processes: dict[str, Process] = {}
    try:
        for data in problems:
            names = _entrants(data)
            # Where a matrix of all unknowns is the dearest thing, those that make one come last.
            many = data.size > _MANY
            entrants = sorted((SOLVERS[name] for name in names), key=lambda s: many and s.name in _QUADRATIC)
            yield _one(data, entrants, processes, say)
    finally:
        close(processes)


def _entrants(data: Problem) -> tuple[str, ...]:
    if data.l1 > 0.0:
        return _L1
    return _CLASSES if data.n_classes > 2 else _SPARSE if data.is_sparse else _DENSE


def _one(data: Problem, entrants: list[Solver], processes: dict[str, Process], say: Say) -> ShapeResult:
    say(f"\n{data.name}")
    nothing = Optimum(math.inf, math.inf, math.inf, "nothing yet")
    result = ShapeResult.of(
        data, name=data.name, target=1.0, divided_by=1, read_bandwidth=math.nan, optimum=nothing
    )
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        data.save(Path(name))
        with Station(result, data, Path(name), _PACE.sampling, processes) as station:
            result.optimum = _optimum(station, entrants[0])
            Contest(station, entrants, {}, _PACE, say).run()
    return result


def _optimum(station: Station, ours: Solver) -> Optimum:
    """From an independent Newton's method where that is quick, from a tight fit of ours where it is not.

    The lowest J of all runs, ours and every peer's, takes its place in ``settle``.
    """
    if optimum.newton_seconds(station.data) < _JUDGE_SECONDS:
        with np.errstate(all="ignore"), contextlib.suppress(np.linalg.LinAlgError):
            return optimum.solve(station.data)
    point = station.point(ours, DEFAULT, _PACE.longest)
    zero: Float64 = np.zeros(station.data.size)
    return optimum.judge(station.data, zero if point is None else point, f"a fit of {OURS}")


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """A process that only computes on every core, as other people's work does."""
    started = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(machine.usable_cores())]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.join()


def _spin() -> None:
    while True:
        pass


def ratio(result: ShapeResult) -> float | None:
    """The best peer's time to 1e-6 over ours to 1e-8; none without either."""
    ours, peer = result.ours, result.best_peer(TARGET)
    if ours is None or ours.trouble or peer is None:
        return None
    return peer.median / ours.median


def missed(result: ShapeResult) -> bool:
    """Ours failed, or did not come within 1e-8 of the lowest J known."""
    return result.ours is None or not result.ours.reaches(PROMISE)


def summary(results: list[ShapeResult], title: str, every: bool = False) -> str:
    """The geometric mean, how many are lost, and the worst ten ratios, or all of them."""
    ratios = {result.name: found for result in results if (found := ratio(result)) is not None}
    if not ratios:
        return f"{title}: nothing to compare"
    lost = sum(found < 1.0 for found in ratios.values())
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    failures = [result.name for result in results if missed(result)]
    median = significant(float(np.median(list(ratios.values()))))
    says = f"geometric mean of ratios {significant(mean)}, median {median}, slower in {lost}"
    lines = ["", f"{title}: {len(results)} problems, {says}"]
    if len(ratios) < len(results):
        lines.append(f"  no ratio, as no peer came within {TARGET:g} in time: {len(results) - len(ratios)}")
    if failures:
        lines.append(f"  FAILED, ours not within {PROMISE:g} of the lowest J known: {'; '.join(failures)}")
    worst = sorted((r for r in results if r.name in ratios), key=lambda r: ratios[r.name])
    rows = tuple(
        _row(result, ratios[result.name]) for result in (worst if every else worst[: min(_WORST, len(worst))])
    )
    columns = ("problem", "ours", "solver, reads", "best peer", "takes", "ratio")
    heading, *table = plain_lines(Table("all" if every else "the worst", columns, rows))
    return "\n".join([*lines, f"  {heading}", *(f"  {line}" for line in table)])


def _row(result: ShapeResult, found: float) -> tuple[str, ...]:
    ours, peer = result.ours, result.best_peer(TARGET)
    if ours is None or peer is None:
        raise ValueError(f"{result.name} has no ratio")
    solver = ours.remark.partition(";")[0].partition(", ")[2]
    return (
        result.name,
        in_words(ours.median),
        f"{solver}, {ours.reads}",
        f"{peer.solver} {peer.in_words()}",
        in_words(peer.median),
        significant(found),
    )
