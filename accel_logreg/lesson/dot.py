"""The lesson's claim: a dot product of 1,000,000 numbers, by a loop and by one call.

Every version adds the same float64 products of the same two vectors, and its answer is compared with the
correctly rounded sum before it is timed. Loops over lists and over arrays are kept apart: a plain loop is
several times slower over an array, because every ``a[i]`` makes a Python object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Float64
from accel_logreg.kernels.numpy_vectorised import dense as numpy_vectorised
from accel_logreg.kernels.python_loop import dense as python_loop
from accel_logreg.measure.clock import Clock, engine_subject, require_equal
from accel_logreg.measure.intervals import Crossing, Timed, crossings

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
class Claim:
    """The lesson's comparison, seconds of a call each; ``lists`` is the quickest plain loop, if it ran."""

    size: int
    loop: float
    call: float
    lists: float | None

    @property
    def factor(self) -> float:
        return self.loop / self.call


@dataclass(frozen=True)
class DotStudy:
    """points, in order of size; stopped: version → the sentence that says where it stopped and why."""

    points: tuple[DotPoint, ...]
    stopped: dict[str, str]

    def versions(self) -> dict[str, dict[int, DotPoint]]:
        """Version → size → what was measured; the first is what speed-ups are over, the lesson's loop."""
        found: dict[str, dict[int, DotPoint]] = {}
        for point in self.points:
            found.setdefault(point.version, {})[point.size] = point
        return found

    def sizes(self) -> list[int]:
        return sorted({point.size for point in self.points})

    def seconds(self, version: str) -> dict[int, float]:
        """Size → median seconds, where this version ran."""
        return {size: point.seconds for size, point in self.versions().get(version, {}).items()}

    def timed(self) -> list[Timed]:
        """Every version with its samples at every size; the baseline first."""
        return [
            Timed(name, points[min(points)].engine, {size: point.samples for size, point in points.items()})
            for name, points in self.versions().items()
        ]

    def crossings(self) -> list[Crossing]:
        """Where the versions that are no loop overtake the lesson's one call, or the loop over lists."""
        ways = {way.name: way for way in self.timed()}
        return [
            one
            for rival in (LIST_LOOP, NUMPY)
            if rival in ways
            for way in ways.values()
            if way.engine != "python" and way.name != rival
            for one in crossings(way, ways[rival])
        ]

    def baseline(self) -> str:
        """What speed-ups are over: the lesson's own loop, or the first version where it did not run."""
        return next(iter(self.versions()))

    def headline_size(self) -> int:
        """1,000,000, the lesson's, if the baseline ran there, or else the largest size at which it ran."""
        ran = self.seconds(self.baseline())
        return LESSON_SIZE if LESSON_SIZE in ran else max(ran)

    def claim(self) -> Claim | None:
        """The loop over arrays beside NumPy's one call; None where either was not asked for."""
        size = self.headline_size()
        loop, lists, call = (self.seconds(name).get(size) for name in (ARRAY_LOOP, LIST_LOOP, NUMPY))
        return None if loop is None or call is None else Claim(size, loop, call, lists)


RELATIVE = 1e-9  # how far an answer may be from the correctly rounded sum
SAMPLE_SECONDS = 1e-2  # a sample of a short call repeats it for this long


@dataclass(frozen=True)
class _Version:
    """One way to take the product, of arrays or of lists; ``more`` arguments follow the two."""

    name: str
    engine: str
    dot: Callable[..., Any]
    of_lists: bool = False
    more: tuple[int, ...] = ()


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
        Seconds. A version stops before the first size above the lesson's at which one call would take longer,
        judged by the fastest call at its last size, so that a single noisy call stops nothing. That
        estimate only decides where to stop and is never reported as a time.

    Raises
    ------
    UnequalResultsError
        A version's answer is not the correctly rounded sum within 1e-9 relative.
    """
    versions = _versions(engines, n_threads)
    rng = np.random.default_rng(0)
    last: dict[str, DotPoint] = {}
    points: list[DotPoint] = []
    stopped: dict[str, str] = {}
    for size in sorted(set(sizes)):
        # Uniform in [0, 1) as in the lesson, so that the sum does not cancel.
        vectors = rng.random(size), rng.random(size)
        for name, point in last.items():
            if size <= LESSON_SIZE or name in stopped:
                continue
            if min(point.samples) * size / point.size > call_limit:
                stopped[name] = (
                    f"stops at {point.size:,} numbers: one call on {size:,} would take more than "
                    f"{call_limit:g} s"
                )
        running = [version for version in versions if version.name not in stopped]
        measured = _measure(running, vectors, n_threads, repeats, clock)
        points += measured
        last |= {point.version: point for point in measured}
        advance()
    return DotStudy(tuple(points), stopped)


def _measure(
    versions: Sequence[_Version],
    vectors: tuple[Float64, Float64],
    n_threads: int | None,
    repeats: int,
    clock: Clock,
) -> list[DotPoint]:
    """Check every version's answer, then time them in turns."""
    reference = math.fsum((vectors[0] * vectors[1]).tolist())
    size = len(vectors[0])
    # Made only where a loop asks: of 10,000,000 numbers the two take 640 MB.
    lists = [vector.tolist() for vector in vectors] if any(one.of_lists for one in versions) else []
    subjects, first, transfers = [], {}, dict[str, float]()
    for version in versions:
        given: Sequence[Any] = lists if version.of_lists else vectors
        if version.engine == "cupy":
            given, transfers[version.name] = _to_device(vectors)
        call = partial(version.dot, *given, *version.more)
        subject = engine_subject(version.engine, call, n_threads, version.name)
        first[version.name] = clock.once(subject)
        require_equal(f"{version.name} of {size:,} numbers", float(call()), reference, RELATIVE)
        calls = clock.calls_for(subject, SAMPLE_SECONDS)
        subjects.append(replace(subject, calls=calls, settle=call if calls > 1 else None))
    samples = clock.interleaved(subjects, repeats)
    return [
        DotPoint(one.name, size, first[one.name], transfers.get(one.name), samples[one.name], one.engine)
        for one in versions
    ]


def _versions(engines: Sequence[str], n_threads: int | None) -> list[_Version]:
    """The lesson's loop first: it is what speed-ups are relative to."""
    versions: list[_Version] = []
    if "python" in engines:
        versions += [  # the first two are one loop
            _Version(ARRAY_LOOP, "python", python_loop.dot_indexed),
            _Version(LIST_INDEX_LOOP, "python", python_loop.dot_indexed, of_lists=True),
            _Version(LIST_LOOP, "python", python_loop.dot_zip, of_lists=True),
        ]
    if "numpy" in engines:
        versions.append(_Version(NUMPY, "numpy", numpy_vectorised.dot))
    if "numba" in engines:
        from accel_logreg.kernels.numba_jit import reductions

        threads = load_backend("numba").n_threads(n_threads)
        versions.append(_Version("numba, 1 thread", "numba", reductions.dot))
        if threads > 1:
            name = f"numba, {threads} threads"
            versions.append(_Version(name, "numba", reductions.dot_parallel, more=(threads,)))
    if "cupy" in engines:
        versions.append(_Version("cupy.dot", "cupy", import_module("cupy").dot))
    return versions


def _to_device(vectors: Sequence[Float64]) -> tuple[list[Any], float]:
    """The vectors on the device, and the seconds that this took."""
    cupy = import_module("cupy")
    device: list[Any] = []
    copy = engine_subject("cupy", lambda: device.extend(map(cupy.asarray, vectors)))
    return device, Clock().once(copy)
