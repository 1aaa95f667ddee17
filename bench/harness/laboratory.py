"""What lasts for one run of the suites: the clock, the caches, the noise, the contests, who was skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from accel_logreg.measure.clock import Device
from accel_logreg.measure.machine import describe
from bench.harness import caches, measuring
from bench.harness.device_clock import CudaDevice, event_seconds
from bench.harness.noise import NoiseMeter
from bench.harness.work import Outcome, Work
from bench.problems.problem import SEED
from bench.report import results_file

EVENT_REPEATS = 5


class Replay:
    """A timer that shows what our clock has measured, so that pytest-benchmark's statistics are of it.

    pytest-benchmark cannot time several tests in turns. It asks its timer before and after each round;
    this one answers 0 and the round's sample.
    """

    def __init__(self) -> None:
        self._instants: list[float] = []

    def load(self, seconds: Sequence[float]) -> None:
        self._instants = [instant for sample in seconds for instant in (0.0, sample)]

    def __call__(self) -> float:
        return self._instants.pop(0)


@dataclass(frozen=True)
class Kept:
    """A benchmark that was timed: no reference to its data, which may be large."""

    group: str
    seconds: tuple[float, ...]
    info: dict[str, Any]


class Laboratory:
    """Registered with pytest as a plugin: it hears of every test, and adds to the JSON what it knows.

    full : the larger budget, and longer rests between samples
    budget : another one
    """

    def __init__(self, *, full: bool, budget: measuring.Budget | None = None) -> None:
        self.full = full
        self.budget = budget or (measuring.FULL if full else measuring.QUICK)
        self.contests: dict[Any, dict[str, Kept | BaseException]] = {}
        self.skipped: dict[str, str] = {}
        self._suite: Any = None
        self._evictions: dict[bool, Callable[[], object]] = {}

    @cached_property
    def meter(self) -> NoiseMeter:
        return NoiseMeter()

    @cached_property
    def tools(self) -> measuring.Tools:
        clock = measuring.real_clock(full=self.full)
        return measuring.Tools(clock, self.budget, _device, self._eviction, _events)

    @cached_property
    def machine(self) -> dict[str, Any]:
        return describe().to_dict()

    def run(self, works: Mapping[str, Work]) -> dict[str, Kept | BaseException]:
        """Time them together, and keep what a record needs."""
        kept: dict[str, Kept | BaseException] = {}
        for name, result in measuring.run(works, self.tools).items():
            if isinstance(result, Outcome):
                work = works[name]
                kept[name] = Kept(work.group, result.seconds, self._info(work, result))
            else:
                kept[name] = result
        return kept

    def _info(self, work: Work, outcome: Outcome) -> dict[str, Any]:
        reads = outcome.facts.get("reads", work.reads)
        info = {
            "engine": work.engine.name,
            "shape": list(work.X.shape),
            "dtype": str(work.X.dtype),
            "threads": work.engine.n_threads(None),
            "seed": SEED,
            "reads": reads or None,
            "bytes_moved": work.X.nbytes * reads or None,
            "cache": self._cache(work) if reads else "",
            "first_seconds": outcome.first_seconds,
            "interleaved": outcome.interleaved,
            "calls_a_sample": outcome.calls,
        }
        return {key: _plain(value) for key, value in {**info, **work.info, **outcome.facts}.items()}

    def _cache(self, work: Work) -> str:
        if work.cold:
            return "cold"
        return caches.stays(work.X.nbytes, _caches_of(work, self.machine["cache_bytes"]))

    def _eviction(self, work: Work) -> Callable[[], object]:
        on_device = work.engine.name == "cupy"
        if on_device not in self._evictions:
            sizes = _caches_of(work, self.machine["cache_bytes"])
            self._evictions[on_device] = (
                caches.device_eviction(_cupy(), sizes) if on_device else caches.Eviction(sizes)
            )
        return self._evictions[on_device]

    def keep(self, node: Any, benchmark: Any, result: Kept | BaseException) -> None:
        """Hand the samples to pytest-benchmark, or raise what went wrong."""
        if not isinstance(result, Kept):
            raise result
        benchmark.group = result.group
        benchmark.extra_info.update(result.info)
        calls = int(result.info.get("calls_a_sample", 1))
        samples = [seconds * calls for seconds in result.seconds]  # of a call, what pytest-benchmark divides
        node.get_closest_marker("benchmark").kwargs["timer"].load(samples)
        benchmark.pedantic(lambda: None, rounds=len(samples), iterations=calls)

    @staticmethod
    def key(node: Any, names: Sequence[str]) -> tuple[Any, ...]:
        """What the members of a contest share: the function, and the parameters that are not named."""
        shared = {name: value for name, value in _parameters(node).items() if name not in names}
        return node.path, node.originalname, tuple(sorted(shared.items()))

    def siblings(
        self, node: Any, items: Sequence[Any], names: Sequence[str]
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """The selected tests of the same contest, itself included, and the named parameters of each."""
        key = self.key(node, names)
        for item in items:
            if item.originalname == node.originalname and self.key(item, names) == key:
                yield item, {name: _parameters(item)[name] for name in names}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> None:
        if item.path != self._suite:
            self._suite = item.path
            self.meter.sample()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[report.nodeid] = str(report.longrepr[2]).removeprefix("Skipped: ")

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_generate_machine_info(self) -> dict[str, Any]:
        return results_file.machine_info(self.machine)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, config: pytest.Config, output_json: dict[str, Any]) -> None:
        self.meter.sample()
        output_json[results_file.OURS] = {
            "format": results_file.FORMAT,
            "version": results_file.VERSION,
            "command": " ".join(["pytest", *map(str, config.invocation_params.args)]),
            "mode": "full" if self.full else "quick",
            "machine": self.machine,
            "ceilings": {},
            "noise": results_file.finite(self.meter.noise.to_dict()),
            "skipped": self.skipped,
        }


def _parameters(node: Any) -> dict[str, Any]:
    return node.callspec.params if hasattr(node, "callspec") else {}


def _cupy() -> Any:
    import cupy

    return cupy


def _device(work: Work) -> Device | None:
    return CudaDevice(_cupy()) if work.engine.name == "cupy" and work.told is None else None


def _events(work: Work) -> tuple[float, ...]:
    if work.engine.name != "cupy" or work.told is not None:
        return ()
    with work.around():
        return event_seconds(_cupy(), work.call, EVENT_REPEATS)


def _caches_of(work: Work, host: Mapping[str, int]) -> Mapping[str, int]:
    if work.engine.name != "cupy":
        return host
    return {"L2": int(_cupy().cuda.Device().attributes["L2CacheSize"])}


def _plain(value: Any) -> Any:
    """For JSON: NumPy's numbers are not."""
    return value.item() if isinstance(value, np.generic) else value
