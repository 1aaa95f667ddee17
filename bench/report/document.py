"""What one run of the benchmark suites wrote: one JSON file, and the same as objects.

One record a benchmark, with its configuration, so that a figure can be judged without the run at hand.
Times are seconds, rates per second, sizes bytes. What does not apply to a benchmark is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from accel_logreg.files.atomic import atomic_write

FORMAT = "accel_logreg benchmarks"
VERSION = 2


class BenchDocumentError(ValueError):
    """A file is not a benchmark document that this version reads; the message says what is wrong."""


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
        bytes_moved (or flops) per second, and the machine's own limit measured in the same run.
    solver, gap, gap_kind, suboptimality
        Of a fit: what the estimator said, and what an independent evaluator found.
    peak_bytes
        Extra memory at the peak of one call.
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
        ``git describe --always --dirty`` of the tree that was measured; empty outside of one.
    machine : dict
        ``Machine.to_dict()``: date, processor, caches, versions.
    ceilings : dict of str to float
        "read bandwidth" in bytes/s, "float64 product" and "float32 product" in flops/s, and on a GPU
        "device copy", "device float32 product", … all measured in this run.
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

    def groups(self) -> dict[str, list[Record]]:
        """Records by group, groups in the order they ran."""
        named: dict[str, list[Record]] = {}
        for record in self.records:
            named.setdefault(record.group, []).append(record)
        return named

    def to_json(self) -> str:
        """One record a line: small, and what changed from run to run is seen."""
        body = {"format": FORMAT, "version": VERSION, **asdict(self)}
        del body["records"]
        head = json.dumps(finite(body), indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
        lines = [
            json.dumps(finite(_without_defaults(record)), ensure_ascii=False, allow_nan=False)
            for record in self.records
        ]
        return "".join((head, ',\n "records": [\n', ",\n".join(lines), "\n ]\n}\n"))

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            stream.write(self.to_json().encode())


def read(path: Path) -> BenchDocument:
    """The document in a file.

    Raises
    ------
    BenchDocumentError
        Not JSON, not a benchmark document, of another version, or a record that lacks something.
    OSError
        The file cannot be read.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchDocumentError(f"{path} is not JSON: {error}. 'make bench' writes such a file") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise BenchDocumentError(f"{path} is JSON, but not of 'make bench': its format is not {FORMAT!r}")
    if body.get("version") != VERSION:
        raise BenchDocumentError(
            f"{path} is a benchmark document of version {body.get('version')!r}; this one reads version "
            f"{VERSION}. Measure again with 'make bench'"
        )
    try:
        records = tuple(_record(entry) for entry in body["records"])
        named = {item.name: body[item.name] for item in fields(BenchDocument) if item.name in body}
        return BenchDocument(**{**named, "records": records})
    except (KeyError, TypeError) as error:
        raise BenchDocumentError(f"{path} is not a whole benchmark document: {error}") from None


def _record(entry: dict[str, Any]) -> Record:
    low, high = entry["interval"]
    nan = float("nan")
    return Record(
        **{
            **entry,
            "shape": tuple(entry["shape"]),
            "seconds": tuple(entry["seconds"]),
            "interval": (nan if low is None else low, nan if high is None else high),
        }
    )


def _without_defaults(record: Record) -> dict[str, Any]:
    """What is None, empty or False by default says nothing in a file."""
    body = asdict(record)
    return {
        item.name: body[item.name]
        for item in fields(Record)
        if item.default is MISSING or not _says_nothing(body[item.name])
    }


def by_reason(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    """Reason → the benchmarks that were left out for it."""
    reasons: dict[str, list[str]] = {}
    for name, why in skipped.items():
        reasons.setdefault(why, []).append(name)
    return reasons


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or value == "" or value == {}


def finite(value: Any) -> Any:
    """NaN as null: JSON has no other."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value
