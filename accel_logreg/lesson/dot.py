"""The lesson's claim: a dot product of 1,000,000 numbers, by a loop and by one call.

Every version adds the same float64 products of the same two vectors, and its answer is compared with the
correctly rounded sum before it is timed. Loops over lists and over arrays are kept apart: a plain loop is
several times slower over an array, because every ``a[i]`` makes a Python object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Float64
from accel_logreg.kernels.numpy_vectorised import dense as numpy_vectorised
from accel_logreg.kernels.python_loop import dense as python_loop
from accel_logreg.lesson.speedups import Crossing, Timed, crossings
from accel_logreg.measure.clock import Clock, Subject, device_synchroniser, median, require_equal

LESSON_SECONDS = {"loop": 0.381, "np.dot": 0.00101}  # 1,000,000 numbers, as the lesson shows them
LESSON_SIZE = 1_000_000

ARRAY_LOOP = "array loop"
LIST_INDEX_LOOP = "list loop, index"
LIST_LOOP = "list loop"
NUMPY = "np.dot"


@dataclass(frozen=True)
class DotPoint:
    """One version at one size.

    first_seconds : the first call at this size; at the smallest size it compiles or loads what has to be.
    transfer_seconds : both vectors from host to device, None where there is no transfer.
    samples : seconds per call in the steady state, one per round; versions take turns in every round.
    """

    version: str
    size: int
    first_seconds: float
    transfer_seconds: float | None
    samples: tuple[float, ...]
    engine: str = ""

    @property
    def seconds(self) -> float:
        return median(self.samples)


@dataclass(frozen=True)
class DotStudy:
    """points, in order of size; stopped: version → the sentence that says where it stopped and why."""

    points: tuple[DotPoint, ...]
    stopped: dict[str, str]

    def versions(self) -> list[str]:
        return list(dict.fromkeys(point.version for point in self.points))

    def sizes(self) -> list[int]:
        return sorted({point.size for point in self.points})

    def seconds(self, version: str) -> dict[int, float]:
        """Size → median seconds, where this version ran."""
        return {point.size: point.seconds for point in self.points if point.version == version}

    def engine(self, version: str) -> str:
        return next(point.engine for point in self.points if point.version == version)

    def timed(self) -> list[Timed]:
        """Every version with its samples at every size; the baseline first."""
        return [
            Timed(
                version,
                self.engine(version),
                {point.size: point.samples for point in self.points if point.version == version},
            )
            for version in self.versions()
        ]

    def crossings(self) -> list[Crossing]:
        """Where the versions that are no loop overtake the lesson's one call, or the loop over lists."""
        ways = {way.name: way for way in self.timed()}
        others = [way for way in ways.values() if way.engine != "python"]
        return [
            one
            for rival in (LIST_LOOP, NUMPY)
            if rival in ways
            for way in others
            if way.name != rival
            for one in crossings(way, ways[rival])
        ]

    def baseline(self) -> str:
        """What speed-ups are over: the lesson's own loop, or the first version where it did not run."""
        return self.versions()[0]

    def headline_size(self) -> int:
        """1,000,000 if the baseline ran there, or else the largest size at which it ran."""
        ran = self.seconds(self.baseline())
        return LESSON_SIZE if LESSON_SIZE in ran else max(ran)


RELATIVE = 1e-9  # how far an answer may be from the correctly rounded sum
SAMPLE_SECONDS = 1e-2  # a sample of a short call repeats it for this long


class _Vectors:
    """Two vectors, uniform in [0, 1) as in the lesson, so that the sum does not cancel."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.a: Float64 = rng.random(size)
        self.b: Float64 = rng.random(size)

    @cached_property
    def lists(self) -> tuple[list[float], list[float]]:
        # Made only where a loop asks: at 10,000,000 numbers the two take 640 MB.
        return self.a.tolist(), self.b.tolist()


@dataclass(frozen=True)
class _Version:
    """One way to take the product; ``prepare`` gives the call and the seconds of its transfer, if any."""

    name: str
    engine: str
    prepare: Callable[[_Vectors], tuple[Callable[[], Any], float | None]]


def measure_dot(
    engines: Sequence[str],
    sizes: Sequence[int],
    *,
    n_threads: int | None,
    repeats: int,
    call_limit: float,
    clock: Clock,
    advance: Callable[[], object] = lambda: None,
) -> DotStudy:
    """Time every version of ``engines`` at every size, smallest first.

    Parameters
    ----------
    call_limit : float
        Seconds. A version stops before the first size at which one call would take longer, judged by its
        last measured size; that estimate only decides where to stop and is never reported as a time.

    Raises
    ------
    UnequalResultsError
        A version's answer is not the correctly rounded sum within 1e-9 relative.
    """
    versions = _versions(engines, n_threads)
    rng = np.random.default_rng(0)
    points: list[DotPoint] = []
    stopped: dict[str, str] = {}
    for size in sorted(set(sizes)):
        vectors = _Vectors(size, rng)
        _stop(versions, points, size, call_limit, stopped)
        running = [version for version in versions if version.name not in stopped]
        points += _measure(running, vectors, n_threads, repeats, clock)
        advance()
    return DotStudy(tuple(points), stopped)


def _stop(
    versions: list[_Version], points: list[DotPoint], size: int, call_limit: float, stopped: dict[str, str]
) -> None:
    last = {point.version: point for point in points}
    for version in versions:
        if version.name in stopped or version.name not in last:
            continue
        point = last[version.name]
        if point.seconds * size / point.size > call_limit:
            stopped[version.name] = (
                f"stops at {point.size:,} numbers: one call on {size:,} would take more than {call_limit:g} s"
            )


def _measure(
    versions: list[_Version], vectors: _Vectors, n_threads: int | None, repeats: int, clock: Clock
) -> list[DotPoint]:
    """Check every version's answer, then time them in turns."""
    reference = math.fsum((vectors.a * vectors.b).tolist())
    subjects, first, transfers = [], {}, {}
    for version in versions:
        call, transfers[version.name] = version.prepare(vectors)
        around = partial(load_backend(version.engine).threads, n_threads)
        subject = Subject(version.name, call, around, device_synchroniser(version.engine))
        first[version.name] = clock.once(subject)
        require_equal(f"{version.name} of {vectors.size:,} numbers", float(call()), reference, RELATIVE)
        calls = clock.calls_for(subject, SAMPLE_SECONDS)
        subjects.append(replace(subject, calls=calls, settle=call if calls > 1 else None))
    engines = {version.name: version.engine for version in versions}
    return [
        DotPoint(name, vectors.size, first[name], transfers[name], samples, engines[name])
        for name, samples in clock.interleaved(subjects, repeats).items()
    ]


def _versions(engines: Sequence[str], n_threads: int | None) -> list[_Version]:
    """The lesson's loop first: it is what speed-ups are relative to."""
    versions: list[_Version] = []
    if "python" in engines:
        indexed: Callable[[Any, Any], float] = python_loop.dot_indexed  # one loop, over arrays and lists
        versions += [
            _Version(ARRAY_LOOP, "python", lambda v: (partial(indexed, v.a, v.b), None)),
            _Version(LIST_INDEX_LOOP, "python", lambda v: (partial(indexed, *v.lists), None)),
            _Version(LIST_LOOP, "python", lambda v: (partial(python_loop.dot_zip, *v.lists), None)),
        ]
    if "numpy" in engines:
        versions.append(_Version(NUMPY, "numpy", lambda v: (partial(numpy_vectorised.dot, v.a, v.b), None)))
    if "numba" in engines:
        from accel_logreg.kernels.numba_jit import reductions as numba_reductions

        threads = load_backend("numba").n_threads(n_threads)
        versions.append(
            _Version("numba, 1 thread", "numba", lambda v: (partial(numba_reductions.dot, v.a, v.b), None))
        )
        if threads > 1:
            name = f"numba, {threads} threads"
            versions.append(
                _Version(
                    name, "numba", lambda v: (partial(numba_reductions.dot_parallel, v.a, v.b, threads), None)
                )
            )
    if "cupy" in engines:
        versions.append(_Version("cupy.dot", "cupy", _to_device))
    return versions


def _to_device(vectors: _Vectors) -> tuple[Callable[[], Any], float]:
    import cupy

    device: list[Any] = []

    def copy() -> None:
        device[:] = cupy.asarray(vectors.a), cupy.asarray(vectors.b)

    seconds = Clock().once(Subject("copy", copy, synchronise=device_synchroniser("cupy")))
    return partial(cupy.dot, *device), seconds
