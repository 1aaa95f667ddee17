"""How quiet the machine was: fixed pieces of work, timed before, between and after what is measured.

On a quiet machine they take the same time all day. Where they do not, a difference between two
benchmarks of a like size says nothing, and the document says so itself.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from accel_logreg.measure.machine import usable_cores

TOO_NOISY = 0.10  # of the median, between the tenth and the ninetieth percentile
TOO_MUCH_STOLEN = 0.02  # of the time, by the host
REPEATS = 5  # of each piece of work, each time it is asked
FEWEST = 10  # samples; fewer give no verdict
_SUM_BYTES = 128 << 20
_LOOP = 200_000


@dataclass
class Noise:
    """Samples of each piece of work, and what the system says of its load.

    Attributes
    ----------
    samples : dict of str to list of float
        Seconds, in the order they were taken.
    load_average : float
        Of the minute before the first sample; NaN where the system does not tell.
    stolen : float or None
        Share of the time since the first sample that the host gave to other machines; None where it does
        not tell.
    """

    samples: dict[str, list[float]] = field(default_factory=dict)
    load_average: float = float("nan")
    stolen: float | None = None

    def relative(self) -> float:
        """(90th − 10th percentile) / median, of the work that varied most; NaN without samples."""
        spreads = []
        for seconds in self.samples.values():
            low, high = np.quantile(seconds, [0.1, 0.9])
            spreads.append(float(high - low) / statistics.median(seconds))
        return max(spreads, default=float("nan"))

    def drift(self) -> float:
        """Median of the last third / median of the first third − 1, of the work that changed most."""
        drifts = [0.0]
        for seconds in self.samples.values():
            third = max(1, len(seconds) // 3)
            drifts.append(statistics.median(seconds[-third:]) / statistics.median(seconds[:third]) - 1.0)
        return max(drifts, key=abs)

    def warning(self) -> str:
        """Why nothing should be concluded from this run; empty where there is no reason known."""
        if min((len(seconds) for seconds in self.samples.values()), default=0) < FEWEST:
            return "too few samples of fixed work were taken to tell whether the machine was quiet"
        reasons = []
        if (relative := self.relative()) > TOO_NOISY:
            reasons.append(f"fixed work varied by {relative:.0%} during the run, above {TOO_NOISY:.0%}")
        if self.stolen is not None and self.stolen > TOO_MUCH_STOLEN:
            reasons.append(
                f"the host gave {self.stolen:.1%} of the time to others, above {TOO_MUCH_STOLEN:.0%}"
            )
        if not reasons:
            return ""
        return (
            f"{'; '.join(reasons)}. Differences of that size between two benchmarks mean nothing here: "
            "measure again on a quiet machine"
        )

    def to_dict(self) -> dict[str, Any]:
        """As ``BenchDocument.noise`` holds it."""
        return {
            "relative": self.relative(),
            "load_average": self.load_average,
            "drift": self.drift(),
            "stolen": self.stolen,
            "median_seconds": {name: statistics.median(seconds) for name, seconds in self.samples.items()},
            "samples": sum(map(len, self.samples.values())),
            "warning": self.warning(),
        }


class NoiseMeter:
    """Takes the samples.

    Parameters
    ----------
    work : mapping of str to function
        What is timed; by default a sum of 128 MiB on all cores and a loop on one.
    now, cpu : functions
        The clock, and seconds stolen and seconds in all; replaced in tests.
    """

    def __init__(
        self,
        work: Mapping[str, Callable[[], object]] | None = None,
        *,
        now: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], tuple[float, float] | None] | None = None,
    ) -> None:
        self._work = dict(_fixed_work() if work is None else work)
        self._now, self._cpu = now, cpu or steal_seconds
        self._began = self._cpu()
        self.noise = Noise({name: [] for name in self._work})
        if hasattr(os, "getloadavg"):
            self.noise.load_average = os.getloadavg()[0]

    def sample(self) -> None:
        """Time every piece of work a few times, after one call that is not counted."""
        for name, work in self._work.items():
            work()
            for _ in range(REPEATS):
                start = self._now()
                work()
                self.noise.samples[name].append(self._now() - start)
        ended = self._cpu()
        if self._began is not None and ended is not None and ended[1] > self._began[1]:
            self.noise.stolen = (ended[0] - self._began[0]) / (ended[1] - self._began[1])


def _fixed_work() -> dict[str, Callable[[], object]]:
    parts = np.array_split(np.ones(_SUM_BYTES // 8), usable_cores())
    pool = ThreadPoolExecutor(len(parts))

    def loop() -> int:
        total = 0
        for k in range(_LOOP):
            total += k & 3
        return total

    return {"sum on all cores": lambda: sum(pool.map(np.sum, parts)), "loop on one core": loop}


def steal_seconds(stat: Path = Path("/proc/stat")) -> tuple[float, float] | None:
    """Seconds that the host gave to other machines while this one wanted to run, and all seconds, since boot.

    Summed over the cores; None where the system does not tell.
    """
    try:
        fields = stat.read_text(encoding="utf-8").splitlines()[0].split()
        ticks = [int(field) for field in fields[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    if fields[0] != "cpu" or len(ticks) < 8:
        return None
    return ticks[7] / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")
