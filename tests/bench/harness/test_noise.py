"""The verdict on a machine's noise, from samples that are given; and what drives caches cold."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.harness import caches, noise
from bench.harness.noise import Noise, NoiseMeter

QUIET = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 1.0, 0.99, 1.0, 1.0]


@pytest.mark.parametrize(
    ("found", "relative", "words"),
    [
        (Noise({"sum": list(QUIET)}, load_average=0.1, stolen=0.0), 0.02, ""),
        (Noise({"sum": list(QUIET), "loop": [1.0, 1.5] * 6}), 0.4, "varied by 40% during the run, above 10%"),
        (Noise({"sum": list(QUIET)}, stolen=0.3), 0.02, "gave 30.0% of the time to others"),
        (Noise({"sum": [1.0, 1.0]}), 0.0, "too few samples"),
        (Noise(), math.nan, "too few samples"),
    ],
)
def test_noise_is_named_with_its_threshold(found: Noise, relative: float, words: str) -> None:
    assert found.relative() == pytest.approx(relative, abs=0.01, nan_ok=True)
    assert words in found.warning()
    assert bool(found.warning()) == bool(words)
    assert found.to_dict()["warning"] == found.warning()


def test_a_machine_that_slows_down_shows_in_the_drift() -> None:
    assert Noise({"sum": [1.0] * 4 + [1.1] * 4 + [1.2] * 4}).drift() == pytest.approx(0.2)
    assert Noise({"sum": [1.0] * 12}).drift() == 0.0


def test_the_meter_leaves_out_first_calls_and_sees_what_was_stolen() -> None:
    seconds = [0.0]
    durations = [9.0, *[1.0] * noise.REPEATS] * 2
    ticks = [(0.0, 0.0), (0.5, 10.0), (1.0, 20.0)]

    def work() -> None:
        seconds[0] += durations.pop(0)

    meter = NoiseMeter({"work": work}, now=lambda: seconds[0], cpu=lambda: ticks.pop(0))
    meter.sample()
    meter.sample()
    assert meter.noise.samples == {"work": [1.0] * 2 * noise.REPEATS}
    assert meter.noise.stolen == pytest.approx(0.05)


def test_stolen_time_comes_from_the_system(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 50 800 0 0 0 50 0 0\ncpu0 1 2 3\n")
    stolen, total = noise.steal_seconds(stat) or (0.0, 0.0)
    assert stolen / total == pytest.approx(0.05)
    assert noise.steal_seconds(tmp_path / "missing") is None
    stat.write_text("nonsense")
    assert noise.steal_seconds(stat) is None


def test_a_small_share_of_the_last_cache_stays_there() -> None:
    sizes = {"L1d": 48 << 10, "L2": 2 << 20, "L3": 256 << 20}
    assert caches.stays(16 << 20, sizes) == "hot"
    assert caches.stays(64 << 20, sizes) == "memory"
    assert caches.last_level({}) == caches.UNKNOWN_CACHE


def test_eviction_streams_through_twice_the_cache_and_is_bounded() -> None:
    evict = caches.Eviction({"L3": 1 << 20})
    assert evict.n_bytes == 2 << 20
    evict()
    assert min(2 * caches.last_level({"L3": 1 << 40}), caches.LARGEST_BUFFER) == 1 << 30
