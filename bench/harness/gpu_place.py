"""Where a GPU benchmark runs: the engine, the arrays it is given, and the clock of its device.

The benchmarks know nothing of CuPy: ``bench/conftest.py`` gives them the GPU as a ``place``, and the tests
one with the kernels played on the host.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from accel_logreg import LogisticRegression
from accel_logreg.backends import stand_in
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.profile.device import profiled_device
from accel_logreg.profile.record import FIT, KERNELS, STAGES, DeviceWatch, Recorder, Watch
from accel_logreg.profile.result import breakdown
from accel_logreg.profile.rows import ProfiledBackend
from bench.harness import questions
from bench.harness.device_clock import event_seconds
from bench.harness.work import Work
from bench.problems.dense import correlated_on
from bench.problems.problem import Problem
from bench.rivals import RivalUnavailableError

KERNEL_REPEATS = 7
COPY_BYTES = 1 << 30


@dataclass(frozen=True)
class Place:
    """One device.

    Attributes
    ----------
    engine : Engine
        The CuPy engine, or what plays it.
    xp : module
        CuPy, or NumPy where the engine is played.
    give : function of an array of ``xp``
        The array as a user of the engine would pass it.
    watch : function
        A new clock of the device.
    copy_bandwidth : function
        Measures bytes/s of a large copy within the device, read and written.
    empty_pools : function
        Gives free memory back to the device, which CuPy's own arrays keep.
    """

    engine: Engine
    xp: Any
    give: Callable[[Any], Any]
    watch: Callable[[], Watch]
    copy_bandwidth: Callable[[], float]
    empty_pools: Callable[[], object]

    def rows(self, problem: Problem) -> Rows:
        """The problem's rows, read where X lies."""
        return self.engine.place(self.give(problem.X), problem.y, None)

    def kernel_seconds(self, problem: Problem, ask: Callable[[Rows], object]) -> float:
        """The kernels of one question by device events, without what the host does between them: median."""
        recorder = Recorder(self.watch())
        with profiled_device(self.engine, recorder):
            rows = self.rows(problem)
            ask(rows)  # loads what it needs
            for call in range(KERNEL_REPEATS):
                recorder.part = f"call {call}"
                ask(rows)
        seconds = [0.0] * KERNEL_REPEATS
        for span in recorder.spans():
            if span.track == KERNELS and span.part:
                seconds[int(span.part.removeprefix("call "))] += span.seconds
        return statistics.median(seconds)

    def fit(self, problem: Problem, X: Any, group: str, version: str) -> Work:
        """Our fit of X, with where its time goes."""
        model = LogisticRegression(backend=self.engine.name, tol=questions.TOL).fit(X, problem.y)
        work = questions.fit(
            self.engine,
            problem,
            group,
            X=X,
            version=version,
            problem=problem.name,
            seconds_of_parts=self.parts_of_fit(lambda: model.fit(X, problem.y)),
            **questions.told(model),
        )
        return replace(work, reads=float(model.history_["reads"][-1]))

    def parts_of_fit(self, fit: Callable[[], object]) -> dict[str, float]:
        """Where one fit's time goes, in seconds: checks, taking the rows, questions, the solver."""
        recorder = Recorder(self.watch())
        stood_in: Any = ProfiledBackend(self.engine, recorder)
        with stand_in(stood_in), profiled_device(self.engine, recorder), recorder.span(STAGES, FIT):
            fit()
        parts = breakdown(recorder.spans())
        return {
            "checking": parts.checking,
            "taking rows": parts.taking,
            "questions": parts.asking,
            "solver": parts.solving,
        }


@contextmanager
def cuda_place(engine: Engine) -> Iterator[Place]:
    """The device that CuPy uses now; its pools are emptied afterwards."""
    cupy = import_module("cupy")

    def empty_pools() -> None:
        cupy.get_default_memory_pool().free_all_blocks()
        engine.release_memory()

    def copy_bandwidth() -> float:
        source, target = (cupy.zeros(COPY_BYTES, np.uint8) for _ in range(2))
        seconds = event_seconds(
            cupy, lambda: target.data.copy_from_device_async(source.data, COPY_BYTES), KERNEL_REPEATS
        )
        return 2.0 * COPY_BYTES / statistics.median(seconds)

    yield Place(engine, cupy, lambda array: array, lambda: DeviceWatch(cupy), copy_bandwidth, empty_pools)
    empty_pools()


@lru_cache(maxsize=1)  # several of them would not fit on a device
def problem_at(place: Place, shape: str, dtype: str) -> Problem:
    """A problem of this shape on the place's device; the one before is let go."""
    place.empty_pools()
    n, d = map(int, shape.split("x"))
    return correlated_on(place.xp, n, d, dtype)


@contextmanager
def skipped_with_reason(rival: str) -> Iterator[None]:
    """A rival that cannot run, or is wrong, is left out of the benchmark in its own words."""
    try:
        yield
    except RivalUnavailableError as reason:
        pytest.skip(f"{rival}: {reason}")
