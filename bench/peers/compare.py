"""One shape from its problem to its result: build, find J*, let the solvers compete."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from accel_logreg.measure import machine
from bench.judge import optimum
from bench.judge.data import save
from bench.judge.optimum import Optimum
from bench.peers.contest import Contest, Pace, Say
from bench.peers.results import ShapeResult
from bench.peers.shapes import QUICK_SECONDS, Shape
from bench.peers.solvers import DEFAULT, OURS, Solver
from bench.peers.station import Sampling, Station


def compare(
    shape: Shape, peers: Sequence[Solver], quick: bool, divisor: int, first: bool, say: Say
) -> ShapeResult:
    """Everything on one shape; ``first`` also measures our very first fit, kernels compiled."""
    began = time.monotonic()
    say(f"\n{shape.name}")
    data = shape.build(divisor)
    entrants = [solver for solver in peers if not quick or solver.name == OURS or solver.name in shape.strong]
    ours = next(solver for solver in peers if solver.name == OURS)
    pace = _pace(shape, quick)
    result = ShapeResult(
        name=shape.name,
        n=data.n,
        d=data.d,
        n_stored=data.n_stored,
        dtype=str(data.X.dtype),
        X_bytes=data.n_bytes,
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
        save(data, folder)
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
        start = station.point(ours, DEFAULT, pace.longest)
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
