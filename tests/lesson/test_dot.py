"""The dot-product study: answers first, where slow versions stop, who overtakes whom."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from accel_logreg import backends
from accel_logreg.backends import available_backends, load_backend
from accel_logreg.lesson.dot import ARRAY_LOOP, LESSON_SIZE, LIST_LOOP, NUMPY, DotPoint, DotStudy, measure_dot
from accel_logreg.measure.clock import Clock, UnequalResultsError

QUIET = Clock(rest=0.0, settling=0.0)


def test_every_version_of_every_engine_is_measured_at_every_length() -> None:
    engines = available_backends()
    study = measure_dot(engines, [1, 64, 64], n_threads=None, repeats=2, call_limit=9.0, clock=QUIET)
    assert study.sizes() == [1, 64]
    assert study.baseline() == ARRAY_LOOP
    assert not study.stopped
    for version in study.versions():
        assert list(study.seconds(version)) == [1, 64]
    assert all(len(point.samples) == 2 for point in study.points)
    assert any("numba" in version for version in study.versions()) == ("numba" in engines)


def test_a_device_is_synchronised_and_its_transfer_timed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy stands in for CuPy: what is checked is the order of copying, calling and waiting."""
    log: list[str] = []

    def asarray(a: np.ndarray) -> np.ndarray:
        log.append("copy")
        return a

    def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        log.append("dot")
        return np.asarray(a @ b)

    device = SimpleNamespace(synchronize=lambda: log.append("wait"))
    cuda = SimpleNamespace(Device=lambda: device)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=asarray, dot=dot, cuda=cuda))
    monkeypatch.setitem(backends._loaded, "cupy", load_backend("numpy"))
    clock = Clock(now=lambda: float(len(log)), sleep=lambda _: None)  # each entry takes a second
    study = measure_dot(["cupy"], [8], n_threads=None, repeats=2, call_limit=9.0, clock=clock)
    assert log[:4] == ["wait", "copy", "copy", "wait"]
    (point,) = study.points
    assert point.transfer_seconds is not None
    assert point.first_seconds == 2.0
    assert point.samples == (2.0, 2.0)  # each call, and the wait for it


def test_a_wrong_dot_product_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg.kernels.numpy_vectorised import dense as numpy_vectorised

    monkeypatch.setattr(numpy_vectorised, "dot", lambda a, b: float(a[:-1] @ b[:-1]))
    with pytest.raises(UnequalResultsError, match=r"np\.dot of 50 numbers"):
        measure_dot(["numpy"], [50], n_threads=1, repeats=1, call_limit=1.0, clock=QUIET)


def test_a_slow_version_stops_and_says_so() -> None:
    ticks = itertools.count()
    clock = Clock(now=lambda: float(next(ticks)), sleep=lambda _: None)  # every sample takes 1 s
    options = {"n_threads": 1, "repeats": 2, "call_limit": 5.0}
    study = measure_dot(["numpy"], [10, LESSON_SIZE, 6 * LESSON_SIZE], **options, clock=clock)
    assert [point.size for point in study.points] == [10, LESSON_SIZE]
    assert study.stopped == {
        NUMPY: "stops at 1,000,000 numbers: one call on 6,000,000 would take more than 5 s"
    }


def test_one_noisy_call_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three rounds two are slow: what a call can do is what counts."""
    from accel_logreg.lesson import dot as module

    def measured(
        versions: list[module._Version], vectors: tuple[np.ndarray, ...], *_: object
    ) -> list[DotPoint]:
        return [DotPoint(NUMPY, len(vectors[0]), 1.0, None, (9.0, 9.0, 1.0), "numpy") for _ in versions]

    monkeypatch.setattr(module, "_measure", measured)
    options = {"n_threads": 1, "repeats": 3, "call_limit": 5.0, "clock": QUIET}
    study = measure_dot(["numpy"], [LESSON_SIZE, 2 * LESSON_SIZE], **options)
    assert study.sizes() == [LESSON_SIZE, 2 * LESSON_SIZE]
    assert not study.stopped


def _dot_study(*curves: tuple[str, dict[int, float]]) -> DotStudy:
    sizes = sorted({size for _, times in curves for size in times})
    points = [
        DotPoint(name, size, 1.0, None, (times[size],), "python" if "loop" in name else "numpy")
        for size in sizes
        for name, times in curves
        if size in times
    ]
    return DotStudy(tuple(points), {})


@pytest.mark.parametrize(
    ("mine", "sizes"),
    [
        ({10: 2.0, 100: 20.0, 1000: 200.0}, []),
        ({10: 2.0, 100: 5.0, 1000: 50.0}, [(10, 100, True)]),
        ({10: 2.0, 100: 5.0, 1000: 500.0}, [(10, 100, True), (100, 1000, False)]),
        ({10: 2.0, 100: 10.5, 1000: 50.0}, [(10, 1000, True)]),  # 5 % apart is a tie
        ({7: 1.0}, []),
    ],
)
def test_who_overtakes_whom_between_measured_lengths(
    mine: dict[int, float], sizes: list[tuple[int, int, bool]]
) -> None:
    study = _dot_study((LIST_LOOP, {10: 1.0, 100: 10.0, 1000: 100.0}), (NUMPY, mine))
    assert [(one.below, one.above, one.rising) for one in study.crossings()] == sizes


def test_the_headline_size_is_one_where_the_baseline_ran() -> None:
    loop = {100: 1.0, 1_000_000: 2.0, 10_000_000: 3.0}
    assert _dot_study((LIST_LOOP, loop)).headline_size() == 1_000_000
    assert _dot_study((LIST_LOOP, {10: 1.0, 100: 1.0}), (NUMPY, {1_000_000: 1.0})).headline_size() == 100
