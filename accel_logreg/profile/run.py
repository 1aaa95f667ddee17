"""One problem, one engine: fits with a clock in the interface, between fits without one, and what they took.

The first fit is not counted, because it compiles what ``warm_up`` did not, touches X for the first time and
lets the cores get going. Then plain and profiled fits take turns; the profiled one with the median time is
the one that is shown.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from accel_logreg import LogisticRegression
from accel_logreg.backends import resolve, stand_in
from accel_logreg.interface.engine import Engine
from accel_logreg.measure.clock import require_equal
from accel_logreg.measure.machine import describe
from accel_logreg.profile.ceilings import Ceilings, best_of, device_ceilings, host_ceilings
from accel_logreg.profile.device import profiled_device
from accel_logreg.profile.problem import Problem
from accel_logreg.profile.record import FIT, PREDICT, STAGES, DeviceWatch, Recorder, Watch, nvtx_ranges
from accel_logreg.profile.result import Profile, Settings, of
from accel_logreg.profile.rows import ProfiledBackend

_SAME_COST = 1e-9  # relative, or what tol leaves open


def run_profile(
    problem: Problem,
    settings: Settings,
    *,
    report: Callable[[str], None] = lambda _line: None,
    measure: Callable[[Engine, Settings], Ceilings] | None = None,
    watch: Callable[[Engine], Watch] | None = None,
) -> Profile:
    """Fit ``1 + 2 repeats`` times and predict ``repeats`` times.

    Parameters
    ----------
    problem, settings
    report : function of a line
        Told what happens, which can take a while.
    measure, watch : function, or None
        The ceilings and the clock for an engine; None takes this machine's.

    Raises
    ------
    BackendUnavailableError
        The engine cannot run here.
    UnequalResultsError
        A profiled fit came to another cost than the plain one.
    """
    measure = ceilings_of if measure is None else measure
    load_average = os.getloadavg()[0]
    report(f"loading {settings.backend}")
    start = time.perf_counter()
    backend = resolve(settings.backend, problem.X)
    loading = time.perf_counter() - start
    recorder = Recorder((watch_of if watch is None else watch)(backend), nvtx_ranges(backend.name))
    fits = _Fits(problem, settings, backend, recorder)
    compiling = fits.compile()
    report("measuring this machine's ceilings")
    with recorder.span(STAGES, "measure ceilings"):
        before = measure(backend, settings)
    report("first fit, which compiles or loads what is left")
    first_fit = fits.plain("first fit")
    plain, parts = [], range(settings.repeats)
    for index in parts:
        report(f"fit {index + 1} of {settings.repeats}, without and with the profiler")
        plain.append(fits.plain("plain fit"))
        fits.profiled(index)
    with recorder.span(STAGES, "measure ceilings"):
        ceilings = best_of(before, measure(backend, settings))
    spans = tuple(recorder.spans())
    profiled = tuple(span.seconds for span in of(spans, STAGES, FIT))
    X, model, on_device = problem.X, fits.model, isinstance(recorder.watch, DeviceWatch)
    return Profile(
        machine=describe().to_dict(),
        load_average=load_average,
        settings=settings,
        source=problem.source,
        n_rows=X.shape[0],
        n_features=X.shape[1],
        dtype=str(X.dtype),
        matrix_bytes=X.nbytes,
        engine=model.backend_,
        solver=model.solver_,
        threads=0 if on_device else backend.n_threads(settings.n_threads),
        iterations=int(model.n_iter_[0]),
        cost=float(model.history_["cost"][-1]),
        gap=float(model.gap_),
        gap_kind=str(model.gap_kind_),
        reads=float(model.history_["reads"][-1]),
        loading=loading,
        compiling=compiling,
        first_fit=first_fit,
        plain=tuple(plain),
        profiled=profiled,
        chosen=sorted(parts, key=lambda index: profiled[index])[(settings.repeats - 1) // 2],
        ceilings=ceilings,
        clock="device events" if on_device else "monotonic clock",
        nvtx=recorder.ranges.source,
        warnings=tuple(fits.warnings),
        spans=spans,
    )


def watch_of(backend: Engine) -> Watch:
    """Device events for the engine on a GPU, the host's clock for the others."""
    return DeviceWatch(import_module("cupy")) if backend.name == "cupy" else Watch()


def ceilings_of(backend: Engine, settings: Settings) -> Ceilings:
    """Of the device, or of the host with the engine's threads."""
    if backend.name != "cupy":
        return host_ceilings(backend, settings.n_threads)
    device: Any = backend
    return device_ceilings(import_module("cupy"), device._device.free_bytes())


class _Fits:
    """What is timed, the last model, and what the estimator warned of."""

    def __init__(self, problem: Problem, settings: Settings, backend: Engine, recorder: Recorder) -> None:
        self._problem, self._settings = problem, settings
        self._backend, self._recorder = backend, recorder
        self._stand_in: Any = ProfiledBackend(backend, recorder)
        self._cost: float | None = None
        self.model: LogisticRegression = settings.model()
        self.warnings: dict[str, None] = {}

    def compile(self) -> float:
        """Seconds of the kernels' first use."""
        dtype = np.float32 if self._problem.X.dtype == np.float32 else np.float64
        with self._backend.threads(self._settings.n_threads):
            return self._timed("compile or load kernels", lambda: self._backend.warm_up(dtype))

    def plain(self, name: str) -> float:
        """Seconds of a fit without a clock in the interface."""
        self._recorder.part = name
        return self._timed(name, self._fit)

    def _timed(self, name: str, call: Callable[[], object]) -> float:
        start = time.perf_counter()
        with self._recorder.span(STAGES, name):
            call()
        return time.perf_counter() - start

    def profiled(self, index: int) -> None:
        """A fit with one, and a prediction."""
        recorder = self._recorder
        recorder.part = f"fit {index}"
        with stand_in(self._stand_in), profiled_device(self._backend, recorder):
            with recorder.span(STAGES, FIT):
                self._fit()
            recorder.part = f"predict {index}"
            W = np.vstack([self.model.coef_.T, self.model.intercept_])
            W = W[:, 0] if W.shape[1] == 1 else W
            with self._backend.threads(self._settings.n_threads), recorder.span(STAGES, PREDICT):
                self._stand_in.logits(self._problem.X, W)
        recorder.part = ""

    def _fit(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = self._settings.model().fit(self._problem.X, self._problem.y)
        self.warnings |= {str(warning.message): None for warning in caught}
        cost = float(model.history_["cost"][-1])
        if self._cost is None:
            self._cost = cost
        # Threads may add in another order, and each fit stops anywhere within tol.
        require_equal("a fit", cost, self._cost, max(_SAME_COST, 2.0 * self._settings.tol))
        self.model = model
