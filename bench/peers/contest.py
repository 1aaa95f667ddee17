"""One shape from its problem to its result: build it, find J*, let the solvers compete.

They get a first look, solver after solver, from loose to tight. It ends a sweep where 1e-8 is reached, where
tightening no longer helps, or where a fit takes several times what the best peer needs. Rounds go in turns
(A, B, C, A, B, C, …): first our fits and every peer near the best, then, as far as time allows, the others.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accel_logreg.measure import machine
from bench.judge import optimum
from bench.judge.optimum import Optimum
from bench.peers.results import PROMISE, TARGET, Run, ShapeResult, settings
from bench.peers.shapes import QUICK_SECONDS, Shape
from bench.peers.solvers import DEFAULT, OURS, TIGHT, Solver, Sweep, since
from bench.peers.station import Sampling, Station

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long things may take.

    seconds : for the whole shape, more or less: later rounds are cut to it.
    looking : the share of it that the first look may take.
    rounds, must : in turns; that many for what is near the best, whatever the time.
    patience : a peer's fit is ended after this many times the best peer's time,
    shortest, longest : within these seconds.
    hopeless : times our time, beyond which a peer's fit is ended before there is a best peer.
    stop : a peer's sweep ends when it is this close.
    known : a strong peer's sweep begins where it is known to arrive, instead of at its loosest.
    cold : whether a fresh process's first fit is to be known; else one is only warmed up.
    optimum_seconds : our own Newton is asked for J* if it takes about that long at most.
    """

    seconds: float
    looking: float = 0.7
    rounds: int = 5
    must: int = 2
    patience: float = 4.0
    shortest: float = 3.0
    longest: float = 40.0
    hopeless: float = math.inf
    stop: float = PROMISE
    known: bool = False
    cold: bool = True
    optimum_seconds: float = 90.0
    sampling: Sampling = field(default_factory=Sampling)


class Contest:
    """All solvers on one problem, at one pace.

    Parameters
    ----------
    strong : mapping, name → parameters
        Peers that are looked at first, right after ours, whatever the time; and where each arrives.
    """

    def __init__(
        self,
        station: Station,
        solvers: list[Solver],
        strong: Mapping[str, Mapping[str, Any]],
        pace: Pace,
        say: Say,
    ) -> None:
        self.station, self.strong, self.pace, self.say = station, strong, pace, say
        self.solvers = sorted(solvers, key=lambda s: (s.name != OURS, s.name not in strong))
        self.result = station.result
        self._by_name = {solver.name: solver for solver in solvers}
        self._began = time.monotonic()

    def run(self) -> None:
        for solver in self.solvers:
            self._look(solver)
        near = self._near()
        self._rounds(near, self.pace.must)
        # By identity: what matters is the entry, and figures of two may be equal.
        self._rounds([run for run in self._others() if all(run is not n for n in near)], 0)
        self.station.settle()

    def _look(self, solver: Solver) -> None:
        """The first look at one solver."""
        if reason := solver.left_out(self.station.data):
            self.result.left_out[solver.name] = reason
        elif solver.name == OURS:
            self._look_at_ours(solver)
        elif solver.name not in self.strong and self._late(self.pace.looking):
            self.result.left_out[solver.name] = "this shape's share of the time was over"
        else:
            self._look_at_peer(solver)

    def _look_at_ours(self, solver: Solver) -> None:
        if self._cold(solver, DEFAULT):
            for group in solver.sweep:
                for parameters in group:
                    self._try(solver, parameters, "")

    def _look_at_peer(self, solver: Solver) -> None:
        first, *more = self._sweep(solver)
        if not self._cold(solver, first[0]):
            return
        run, threads = self._try(solver, first[0], ""), ""
        if solver.alone:
            alone = self._try(solver, first[0], solver.alone)
            if not alone.trouble and (run.trouble or alone.median < run.median):
                run, threads = alone, solver.alone
        if run.trouble:
            return
        reached = self._gap(run)
        for group in (first[1:], *more):
            idle, previous = 0, math.inf
            for parameters in group:
                if reached <= self.pace.stop:
                    return
                if self._late(1.0 if solver.name in self.strong else self.pace.looking):
                    self.result.notes.append(
                        f"{solver.name}: not tried with {settings(parameters)} and tighter"
                    )
                    return
                run = self._try(solver, parameters, threads)
                if run.trouble and threads != solver.alone:  # threads that wait for each other, perhaps
                    threads = solver.alone
                    run = self._try(solver, parameters, threads)
                if run.trouble:
                    return
                reached = self._gap(run)
                # Twice the same may be one Newton step more or less; three times is a plateau.
                idle = idle + 1 if reached > 0.5 * previous else 0
                previous = reached
                if idle == 2:
                    break

    def _sweep(self, solver: Solver) -> Sweep:
        if self.pace.known and solver.name in self.strong:
            return since(solver.sweep, self.strong[solver.name])
        return solver.sweep

    def _cold(self, solver: Solver, parameters: dict[str, Any]) -> bool:
        """The first fit of a fresh process; whether there was one."""
        if not self.pace.cold and self.station.started(solver):
            return True
        seconds, trouble = self.station.cold(solver, parameters, self._limit(solver))
        if trouble:
            self.result.runs.append(Run(solver.name, dict(parameters), trouble=trouble))
            self.say(f"  {solver.name:29}{settings(parameters):40}{trouble}")
        else:
            self.result.cold_seconds[solver.name] = seconds
        return not trouble

    def _try(self, solver: Solver, parameters: dict[str, Any], alone: str) -> Run:
        run = Run(solver.name, dict(parameters), alone)
        self.result.runs.append(run)
        self.station.measure(solver, run, self._limit(solver))
        took = run.trouble or f"{run.median * 1e3:10.2f} ms   (J − J*)/J* = {self._gap(run):.1e}"
        self.say(f"  {solver.name:29}{run.in_words():40}{took}")
        return run

    def _near(self) -> list[Run]:
        """Ours, and every peer's run within TARGET and twice the best time.

        These are tried once more with the other number of threads: that was chosen at a loose tolerance.
        """
        self.station.settle()
        for run in self._near_runs():
            if other := self._other_threads(run):
                self._try(self._by_name[run.solver], run.parameters, other[0])
        self.station.settle()
        return self._near_runs()

    def _near_runs(self) -> list[Run]:
        best = self.result.best_peer(TARGET)
        limit = math.inf if best is None else 2.0 * best.median
        runs = [run for run in self.result.runs if not run.trouble]
        return [r for r in runs if r.solver == OURS or (r.reaches(TARGET) and r.median <= limit)]

    def _other_threads(self, run: Run) -> list[str]:
        """The choice of threads that was not tried with these parameters, if there is one."""
        alone = self._by_name[run.solver].alone
        same = [r for r in self.result.runs if r.solver == run.solver and r.parameters == run.parameters]
        return [choice for choice in dict.fromkeys(("", alone)) if all(r.alone != choice for r in same)]

    def _others(self) -> list[Run]:
        """Each solver's fastest way to each of three gaps, fastest first."""
        found = {
            id(run): run
            for solver in self.solvers
            for gap in (1e-3, TARGET, PROMISE)
            if (run := self.result.fastest(solver.name, gap)) is not None
        }
        return sorted(found.values(), key=lambda run: run.median)

    def _rounds(self, runs: list[Run], must: int) -> None:
        expected = {id(run): run.median * max(1, run.calls) for run in runs}
        for number in range(self.pace.rounds):
            for run in runs:
                if number < must or not self._late(1.0, expected[id(run)]):
                    self.station.measure(self._by_name[run.solver], run, self.pace.longest)

    def _limit(self, solver: Solver) -> float:
        """Seconds a fit may take: peers that are far slower than the best need not be waited for."""
        self.station.settle()
        best, ours = self.result.best_peer(TARGET), self.result.ours
        if solver.name == OURS:
            return self.pace.longest
        limit = math.inf if best is None else self.pace.patience * best.median
        if ours is not None and ours.seconds:
            limit = min(limit, self.pace.hopeless * ours.median)
        return min(self.pace.longest, max(self.pace.shortest, limit))

    def _gap(self, run: Run) -> float:
        if run.trouble or not run.values:
            return math.inf
        return (run.values[-1] - self.result.optimum.value) / self.result.optimum.value

    def _late(self, share: float, ahead: float = 0.0) -> bool:
        return time.monotonic() - self._began + ahead > share * self.pace.seconds


def compare(
    shape: Shape, peers: Sequence[Solver], quick: bool, divisor: int, first: bool, say: Say
) -> ShapeResult:
    """Everything on one shape; ``first`` also measures our very first fit, kernels compiled."""
    began = time.monotonic()
    say(f"\n{shape.name}")
    data = shape.build(divisor)
    peers = [solver for solver in peers if solver.suits(data)]
    entrants = [solver for solver in peers if not quick or solver.name == OURS or solver.name in shape.strong]
    ours = next(solver for solver in peers if solver.name == OURS)
    pace = _pace(shape, quick)
    result = ShapeResult.of(
        data,
        name=shape.name,
        target=shape.target,
        against=shape.against,
        divided_by=divisor,
        read_bandwidth=machine.read_bandwidth(),
        optimum=Optimum(float("inf"), float("inf"), float("inf"), "nothing yet"),
    )
    for solver in peers:
        if solver not in entrants:
            result.left_out[solver.name] = "a quick run has only each shape's strongest"
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        data.save(folder)
        with Station(result, data, folder, pace.sampling) as station:
            if first:
                result.compile_seconds = station.compiling(ours, DEFAULT)
            result.optimum = _optimum(station, ours, pace)
            Contest(station, entrants, shape.strong, pace, say).run()
    result.seconds = time.monotonic() - began
    return result


def _optimum(station: Station, ours: Solver, pace: Pace) -> Optimum:
    """J* by our own Newton from zero, or where that takes too long from near the end."""
    if optimum.newton_seconds(station.data) > pace.optimum_seconds:
        start = station.point(ours, TIGHT, pace.longest)
        if start is not None:
            return optimum.solve(station.data, start, f", from where {OURS} ends")
    return optimum.solve(station.data)


def _pace(shape: Shape, quick: bool) -> Pace:
    if not quick:
        return Pace(seconds=shape.seconds)
    return Pace(
        seconds=QUICK_SECONDS,
        rounds=3,
        must=2,
        patience=2.5,
        shortest=2.0,
        longest=20.0,
        stop=1e-6,
        known=True,
        optimum_seconds=6.0,
        sampling=Sampling(calls=30, seconds=0.15),
    )
