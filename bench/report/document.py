"""What one run of the benchmark suites wrote: one JSON file, and the same as objects.

One record a benchmark, with its configuration, so that a figure can be judged without the run at hand.
Times are seconds, rates per second, sizes bytes. What does not apply to a benchmark is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure.intervals import median_interval
from accel_logreg.profile.ceilings import Ceilings

FORMAT = "accel_logreg benchmarks"
VERSION = 2
MOST_SAMPLES = 60


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


def record(entry: Mapping[str, Any], ceilings: Mapping[str, float]) -> Record:
    """One benchmark of pytest-benchmark's JSON.

    What its test said by a field's name becomes that field, all else ``extra``.
    """
    info = dict(entry["extra_info"])
    seconds = entry["stats"]["data"]
    interval = median_interval(seconds)
    name = str(entry["fullname"]).rpartition("/")[2]
    known = {
        "name": name,
        "suite": name.partition(".py")[0].removeprefix("bench_"),
        "group": entry["group"],
        "version": "",
        "problem": "",
        "seconds": thinned(seconds),
        "median_seconds": interval.value,
        "interval": (interval.low, interval.high),
    }
    known |= {item.name: info.pop(item.name) for item in fields(Record) if item.name in info}
    arithmetic = info.pop("arithmetic", "float64")
    known["shape"] = tuple(known["shape"])
    return Record(**(known | _limit(known, arithmetic, ceilings)), extra=info)


def thinned(seconds: Sequence[float], most: int = MOST_SAMPLES) -> tuple[float, ...]:
    """At most so many of them, evenly spaced: members of a group keep the same rounds. Six digits each."""
    kept = np.linspace(0, len(seconds) - 1, min(len(seconds), most)).round().astype(int)
    return tuple(float(f"{seconds[k]:.6g}") for k in kept)


def _limit(known: Mapping[str, Any], arithmetic: str, ceilings: Mapping[str, float]) -> dict[str, Any]:
    """rate, and the ceiling that binds: bytes or flops, whichever takes longer at the machine's own limit.

    X that stays in a cache is not read from memory, and a memory's bandwidth is no ceiling for it.
    """
    if known["median_seconds"] <= 0:
        return {}
    moved, flops = known.get("bytes_moved") or 0.0, known.get("flops") or 0.0
    if arithmetic == "int8":  # no library could be asked for a ceiling
        return {"rate": flops / known["median_seconds"]}
    on_device = known["engine"] == "cupy"
    memory = "device copy" if on_device else "read bandwidth"
    product = _product(arithmetic, on_device, ceilings)
    by_memory = moved / ceilings.get(memory, np.inf)
    by_flops = flops / ceilings.get(product, np.inf)
    amount, of = (flops, product) if by_flops > by_memory else (moved, memory)
    if not amount:
        return {}
    rate = amount / known["median_seconds"]
    if of not in ceilings or (of == memory and known.get("cache") == "hot"):
        return {"rate": rate}
    return {
        "rate": rate,
        "ceiling": ceilings[of],
        "ceiling_of": of,
        "percent_of_ceiling": 100.0 * rate / ceilings[of],
    }


def _product(arithmetic: str, on_device: bool, ceilings: Mapping[str, float]) -> str:
    """The fastest product of this width: on a device float32 may run as TF32."""
    if not on_device:
        return f"{arithmetic} product"
    names = ("float32", "TF32") if arithmetic == "float32" else (arithmetic,)
    return max((f"device {name} product" for name in names), key=lambda name: ceilings.get(name, 0.0))


def named_ceilings(host: Ceilings | None, device: Ceilings | None) -> dict[str, float]:
    """Ceilings as the document names them, in bytes and flops per second."""
    found: dict[str, float] = {}
    if host is not None:
        found["read bandwidth"] = host.bandwidth
        found |= {f"{name} product": rate for name, rate in host.flops.items()}
    if device is not None:
        found["device copy"] = device.bandwidth
        found |= {f"device {name} product": rate for name, rate in device.flops.items()}
        found |= {f"copy {name}": rate for name, rate in device.copies.items()}
    return found


def read(path: Path) -> BenchDocument:
    """The document in a file.

    Raises
    ------
    BenchDocumentError
        Not JSON, not a benchmark document, of another version, or a record that lacks something.
    OSError
        The file cannot be read.
    """
    body = read_json(path, FORMAT, VERSION, "make bench")
    try:
        records = tuple(_record(entry) for entry in body["records"])
        named = {item.name: body[item.name] for item in fields(BenchDocument) if item.name in body}
        return BenchDocument(**{**named, "records": records})
    except (KeyError, TypeError) as error:
        raise BenchDocumentError(f"{path} is not a whole benchmark document: {error}") from None


def read_json(path: Path, form: str, version: int, command: str) -> dict[str, Any]:
    """A file that ``command`` wrote, in this format and version; what is missing inside is not noticed here.

    Raises
    ------
    BenchDocumentError
        Not JSON, of another format, or of another version.
    OSError
        The file cannot be read.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchDocumentError(f"{path} is not JSON: {error}. {command!r} writes such a file") from None
    if not isinstance(body, dict) or body.get("format") != form:
        raise BenchDocumentError(f"{path} is JSON, but not of {command!r}: its format is not {form!r}")
    if body.get("version") != version:
        raise BenchDocumentError(
            f"{path} is of version {body.get('version')!r}; this one reads version {version}. Measure again "
            f"with {command!r}"
        )
    return body


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
