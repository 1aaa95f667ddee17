"""What one run of the benchmark suites found, as objects; ``results_file.py`` reads and writes them.

One record a benchmark, with its configuration, so that a figure can be judged without the run at hand.
Times are seconds, rates per second, sizes bytes. What does not apply to a benchmark is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class BenchDocumentError(ValueError):
    """A file is not one that this version reads; the message says what is wrong."""


@dataclass(frozen=True)
class Record:
    """One benchmark.

    Attributes
    ----------
    name : str
        The same from run to run: "bench_pass.py::bench_gradient[numba-2000x28-float64]".
    suite, group : str
        The file's question ("pass"), and what is compared with what: "gradient 2000x28 float64".
    engine, version : str
        "numba", and which of several ways on that engine ("one thread"); empty for the only one.
    problem : str
        "correlated", "sparse Zipf", "pictures", …
    cache : str
        "hot" where X stays in a cache from call to call, "cold" where it was driven out before every
        call, "memory" where X is larger than the caches, "" where it does not matter.
    seconds : tuple of float
        One figure a round, per call. Rounds of one group are interleaved where ``interleaved`` says so:
        figure i of its members was then taken in the same round.
    interval : tuple of two floats
        Bootstrap interval of the median, 95 %; NaN with fewer than five rounds.
    first_seconds, compile_seconds, transfer_seconds
        The first call; of it what went into compiling, where that is known; moving data to a device.
    reads, bytes_moved, flops
        Of X, by one call: counted by the engine or by the formula, never from the time.
    rate, ceiling, ceiling_of, percent_of_ceiling
        bytes_moved (or flops) per second, and the machine's own limit measured in the same run. None is
        above 100: see ``ceilings.py``.
    solver, gap, gap_kind, suboptimality
        Of a fit: what the estimator said, and what an independent evaluator found.
    peak_bytes
        Extra memory at the peak of one call.
    params : dict
        The benchmark's parameters as pytest names them.
    extra : dict
        What only this suite knows.
    """

    name: str
    suite: str
    group: str
    engine: str
    version: str
    problem: str
    shape: tuple[int, ...]
    dtype: str
    threads: int
    seed: int
    seconds: tuple[float, ...]
    median_seconds: float
    interval: tuple[float, float]
    interleaved: bool = False
    cache: str = ""
    first_seconds: float | None = None
    compile_seconds: float | None = None
    transfer_seconds: float | None = None
    reads: float | None = None
    bytes_moved: float | None = None
    flops: float | None = None
    rate: float | None = None
    ceiling: float | None = None
    ceiling_of: str = ""
    percent_of_ceiling: float | None = None
    solver: str = ""
    gap: float | None = None
    gap_kind: str = ""
    suboptimality: float | None = None
    peak_bytes: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What tells it from the others of its group: "numba, one thread"."""
        return f"{self.engine}, {self.version}" if self.version else self.engine


@dataclass(frozen=True)
class BenchDocument:
    """A whole run.

    Attributes
    ----------
    command, mode : str
        What was typed, and "quick" or "full".
    revision : str
        The commit of the tree that was measured, with "-dirty" for what is not committed; empty outside
        of one.
    machine : dict
        ``Machine.to_dict()``: date, processor, caches, versions.
    ceilings : dict of str to float
        "read bandwidth" in bytes/s, "float64 product" and "float32 product" in flops/s, and on a GPU
        "device copy", "device float32 product", … all measured in this run.
    exceeded : dict of str to float
        Ceiling → what it was measured at, where a benchmark was faster: the best rate that was seen
        has taken its place in ``ceilings``.
    noise : dict
        "relative" is how much a fixed piece of work varied during the run, "load_average" what else
        ran in the minute before; "warning" is empty, or says why nothing should be concluded.
    skipped : dict of str to str
        Benchmark → the reason why it did not run here.
    """

    command: str
    mode: str
    revision: str
    machine: dict[str, Any]
    ceilings: dict[str, float]
    noise: dict[str, Any]
    records: tuple[Record, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    exceeded: dict[str, float] = field(default_factory=dict)

    def groups(self) -> dict[str, list[Record]]:
        """Records by group, groups in the order they ran."""
        named: dict[str, list[Record]] = {}
        for record in self.records:
            named.setdefault(record.group, []).append(record)
        return named


def by_reason(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    """Reason → the benchmarks that were left out for it."""
    reasons: dict[str, list[str]] = {}
    for name, why in skipped.items():
        reasons.setdefault(why, []).append(name)
    return reasons
