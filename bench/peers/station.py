"""Where fits are measured: one process a solver, only one of them working at a time."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from accel_logreg.measure.machine import usable_cores
from bench.harness.process import ROOT, Process, ProcessEndedError, inherited
from bench.judge import l1
from bench.judge.optimum import Optimum, judge
from bench.judge.score import objective
from bench.peers.results import Run, ShapeResult
from bench.peers.solvers import Solver
from bench.peers.worker import Reply, Request, Task
from bench.problems.problem import Float64, Problem

_CONVERSION = 120.0  # seconds a conversion may take
_ROUNDING = 1e-14  # of J: nearer than this is the same


@dataclass(frozen=True)
class Sampling:
    """A round of one run is ``calls`` calls, or as many as fit in ``seconds``, after ``rest`` of quiet."""

    calls: int = 50
    seconds: float = 0.25
    rest: float = 0.1


class Station:
    """All processes on one problem; a context that ends them.

    Parameters
    ----------
    result : ShapeResult
        Gets conversions, and J* when a run finds a lower J than was known.
    folder : Path
        Where the data lie.
    processes : dict or None
        Solver → process, for several problems one after the other; whoever brings it ends them.
    """

    def __init__(
        self,
        result: ShapeResult,
        data: Problem,
        folder: Path,
        sampling: Sampling,
        processes: dict[str, Process] | None = None,
    ) -> None:
        self.result, self.data, self.folder, self.sampling = result, data, folder, sampling
        self._own = processes is None
        self._processes: dict[str, Process] = {} if processes is None else processes
        self._lowest: tuple[float, Float64] | None = None  # J and W of the lowest J since settle()
        self._bounds: list[Optimum] = []  # with an L1 part, of every answer since settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._own:
            close(self._processes)

    def started(self, solver: Solver) -> bool:
        """Whether its process is there, its library loaded."""
        process = self._processes.get(solver.name)
        return process is not None and process.alive

    def measure(self, solver: Solver, run: Run, limit: float) -> Run:
        """Add a round to ``run``. If it fails where earlier ones did not, those stay."""
        converted = self._ask(solver, self._request(run.parameters, calls=0), _CONVERSION)
        time.sleep(self.sampling.rest)
        request = replace(
            self._request(run.parameters, calls=self.sampling.calls),
            seconds=self.sampling.seconds,
            threads=1 if run.alone == "all" else usable_cores(),
            blas_threads=1 if run.alone else None,
        )
        reply = converted if converted.trouble else self._ask(solver, request, limit)
        run.warnings = list(dict.fromkeys([*run.warnings, *reply.warnings]))
        if reply.W is None:
            if run.seconds:
                self.result.notes.append(f"{run.solver} ({run.in_words()}), a later round: {reply.trouble}")
            else:
                run.trouble = reply.trouble
            return run
        if run.scouting and run.seconds:  # the first round in turns: it counts, the first look no longer does
            run.scouting, run.seconds, run.peak_bytes = False, [], None
        run.seconds.append(statistics.median(reply.seconds))
        run.calls = max(run.calls, len(reply.seconds))
        run.iterations, run.reads, run.remark = reply.iterations, reply.reads, reply.remark
        if reply.peak_bytes is not None:
            run.peak_bytes = max(reply.peak_bytes, run.peak_bytes or 0)
        value = self._value(reply.W)
        run.values.append(value)
        if self.data.l1 > 0.0:
            weights = reply.W.reshape(-1, self.data.size)[:, :-1]
            run.zeros = int(weights.size - np.count_nonzero(weights))
        if not math.isfinite(value):
            run.trouble = "its weights are not finite"
        elif self.data.Cs:
            return run  # its bounds are those that were found before
        elif self.data.l1 > 0.0:
            self._bounds.append(judge(self.data, reply.W, f"an answer of {run.solver}"))
        elif self._lowest is None or value < self._lowest[0]:
            self._lowest = (value, reply.W)
        return run

    def cold(self, solver: Solver, parameters: dict[str, Any], limit: float) -> tuple[float, str]:
        """Seconds of a fresh process's import, conversion and first fit, or why there are none; it stays."""
        reply = self._ask(solver, replace(self._request(parameters), cold=True), limit + solver.loading)
        if solver.convert and not reply.trouble:  # once more, warm
            self._ask(solver, replace(self._request(parameters, calls=0), anew=True), _CONVERSION)
        return (reply.conversion_seconds or 0.0) + sum(reply.seconds), reply.trouble

    def compiling(self, solver: Solver, parameters: dict[str, Any]) -> float | None:
        """The same in a process whose cache of compiled kernels is empty, as after installation."""
        empty = self.folder / "empty-cache"
        with self._start(solver, (("NUMBA_CACHE_DIR", str(empty)),)) as process:
            reply = _answer(process, replace(self._request(parameters), cold=True), 10.0 * solver.loading)
        return None if reply.trouble else sum(reply.seconds)

    def point(self, solver: Solver, parameters: dict[str, Any], limit: float) -> Float64 | None:
        """Where this fit ends, (d + 1,), the intercept last; None if it fails."""
        reply = self._ask(solver, self._request(parameters), limit + solver.loading)
        return reply.W

    def settle(self) -> None:
        """J* is the lowest J known, or the largest lower bound, whoever found it; it judges every run."""
        for bounds in self._bounds:
            self.result.optimum = self.result.optimum.narrowed(bounds)
        self._bounds = []
        optimum, lowest, self._lowest = self.result.optimum, self._lowest, None
        if lowest is not None and not lowest[0] >= optimum.value * (1.0 - _ROUNDING):
            better = judge(self.data, lowest[1], "the lowest J of all runs")
            optimum = better if better.value < optimum.value else optimum
        self.result.judge(optimum)

    def _value(self, W: Float64) -> float:
        """J; of a path, the largest J over its lower bound."""
        if self.data.Cs:
            return l1.worst(self.data, W, self.result.optimum.lower)
        return objective(self.data, W)

    def _ask(self, solver: Solver, request: Request, limit: float) -> Reply:
        if not self.started(solver):
            self._processes[solver.name] = self._start(solver)
        reply = _answer(self._processes[solver.name], request, limit)
        if reply.conversion_seconds is not None:  # the last: the first imports and compiles
            size = float(reply.conversion_bytes or 0)
            self.result.conversions[solver.name] = [reply.conversion_seconds, size]
        return reply

    def _request(self, parameters: dict[str, Any], calls: int = 1) -> Request:
        return Request(str(self.folder), parameters, usable_cores(), calls=calls)

    def _start(self, solver: Solver, environment: tuple[tuple[str, str], ...] = ()) -> Process:
        task = Task(solver.fit, solver.convert, solver.converts_by, solver.module)
        variables = inherited(**dict((*solver.environment, *environment)))
        if not solver.home:
            return Process("bench.peers.worker:Worker", task, environment=variables)
        variables["PYTHONPATH"] = str(ROOT)  # our own libraries are of another environment
        return Process("bench.peers.worker:Worker", task, environment=variables, python=solver.python)


def close(processes: dict[str, Process]) -> None:
    for process in processes.values():
        process.close()


def _answer(process: Process, request: Request, limit: float) -> Reply:
    """The answer, or why there is none: a fit that takes longer than ``limit`` seconds is ended."""
    try:
        reply: Reply = process.ask(request, limit)
    except ProcessEndedError as error:
        return Reply(trouble=str(error))
    return reply
