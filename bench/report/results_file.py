"""The results file: pytest-benchmark's JSON, with what we know of a run beside it.

``pytest-benchmark compare`` and ``bench.compare`` read the same files, whether ``python -m bench.run`` wrote
them or ``pytest bench --benchmark-json``. Of the run, ours stands in "accel_logreg"; of a benchmark, in its
"extra_info". All else is as pytest-benchmark has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure.intervals import median_interval
from bench.report.ceilings import limit, none_above
from bench.report.document import BenchDocument, Record

OURS = "accel_logreg"  # of the run, in the file
FORMAT = "accel_logreg benchmarks"
VERSION = 3
_FLAT = 2  # the version before: records of our own, which pytest-benchmark could not read
SUITES = "bench/suites/"  # before a record's name, for pytest
_ELSEWHERE = {"name", "group", "seconds", "median_seconds", "params", "extra"}  # not in extra_info by name


class BenchDocumentError(ValueError):
    """A file is not one that this version reads; the message says what is wrong."""


# ---- reading -----------------------------------------------------------------------------------------------


def read(path: Path) -> BenchDocument:
    """The document in a file of ``python -m bench.run`` or of ``pytest bench --benchmark-json``.

    Raises
    ------
    BenchDocumentError
        Not JSON, of other benchmarks, of another version, without samples, or not whole.
    OSError
        The file cannot be read.
    """
    body = _load(path, "make bench")
    try:
        ours = body if body.get("format") == FORMAT else body.get(OURS)
        if not isinstance(ours, dict) or ours.get("format") != FORMAT:
            raise BenchDocumentError(
                f"{path} is JSON, but not of 'make bench' nor of 'pytest bench': it has no {OURS!r} of the "
                f"format {FORMAT!r}. Of two files of other benchmarks, 'pytest-benchmark compare' prints "
                "the difference"
            )
        if ours.get("version") == _FLAT:
            return _of_flat(ours)
        _require_version(path, ours, VERSION, "make bench")
        if not all("data" in entry["stats"] for entry in body["benchmarks"]):
            raise BenchDocumentError(
                f"{path} holds no samples, without which no interval is known: write it with "
                "--benchmark-json, or save it with --benchmark-save-data as well"
            )
        return of_json(body)
    except (KeyError, TypeError, AttributeError) as error:
        raise BenchDocumentError(f"{path} is not a whole benchmark document: {error!r}") from None


def read_json(path: Path, form: str, version: int, command: str) -> dict[str, Any]:
    """A file that ``command`` wrote, in this format and version; what is missing inside is not noticed here.

    Raises
    ------
    BenchDocumentError
        Not JSON, of another format, or of another version.
    OSError
        The file cannot be read.
    """
    body = _load(path, command)
    if body.get("format") != form:
        raise BenchDocumentError(f"{path} is JSON, but not of {command!r}: its format is not {form!r}")
    _require_version(path, body, version, command)
    return body


def _load(path: Path, command: str) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchDocumentError(f"{path} is not JSON: {error}. {command!r} writes such a file") from None
    if not isinstance(body, dict):
        raise BenchDocumentError(f"{path} is JSON, but not of {command!r}: it is no object")
    return body


def _require_version(path: Path, body: Mapping[str, Any], version: int, command: str) -> None:
    if body.get("version") != version:
        raise BenchDocumentError(
            f"{path} is of version {body.get('version')!r}; this one reads version {version}. Measure again "
            f"with {command!r}"
        )


def of_json(body: Mapping[str, Any], ceilings: Mapping[str, float] | None = None) -> BenchDocument:
    """The document in pytest-benchmark's JSON, as ``pytest bench`` or ``write`` made it.

    ceilings : measured beside the run; None for those in the file
    """
    ours = body[OURS]
    limits = dict(ours["ceilings"] if ceilings is None else ceilings)
    named = {item.name: ours[item.name] for item in fields(BenchDocument) if item.name in ours}
    revision = named.get("revision", _revision(body["commit_info"]))
    records = tuple(record(entry, limits) for entry in body["benchmarks"])
    return none_above(
        BenchDocument(**{**named, "revision": revision, "ceilings": limits, "records": records})
    )


def record(entry: Mapping[str, Any], ceilings: Mapping[str, float]) -> Record:
    """One benchmark of pytest-benchmark's JSON.

    What stands in ``extra_info`` by a field's name becomes that field, all else ``extra``.
    """
    info = dict(entry["extra_info"])
    seconds = tuple(float(f"{second:.6g}") for second in entry["stats"]["data"])
    name = str(entry["fullname"]).removeprefix(SUITES)
    known = {
        "name": name,
        "suite": name.partition(".py")[0].removeprefix("bench_"),
        "group": entry["group"],
        "version": "",
        "problem": "",
        "seconds": seconds,
        "params": entry.get("params") or {},
    }
    known |= {item.name: info.pop(item.name) for item in fields(Record) if item.name in info}
    median = median_interval(seconds) if "interval" not in known else None
    known.setdefault("median_seconds", entry["stats"]["median"] if median is None else median.value)
    known["interval"] = _bounds(known["interval"]) if median is None else (median.low, median.high)
    known["shape"] = tuple(known["shape"])
    arithmetic = info.pop("arithmetic", "float64")
    if "rate" not in known:
        known |= limit(known, arithmetic, ceilings)
    return Record(**known, extra=info)


def _of_flat(body: dict[str, Any]) -> BenchDocument:
    """Of version 2, which git has: results of 2026-11-26 and before."""
    records = tuple(
        Record(
            **{
                **entry,
                "shape": tuple(entry["shape"]),
                "seconds": tuple(entry["seconds"]),
                "interval": _bounds(entry["interval"]),
            }
        )
        for entry in body["records"]
    )
    named = {item.name: body[item.name] for item in fields(BenchDocument) if item.name in body}
    return none_above(BenchDocument(**{**named, "records": records}))


def _bounds(interval: Sequence[float | None]) -> tuple[float, float]:
    low, high = (float("nan") if bound is None else bound for bound in interval)
    return low, high


def _revision(commit: Mapping[str, Any]) -> str:
    """pytest-benchmark's commit in a word; empty where it found none."""
    name = str(commit.get("id") or "")
    if name in ("", "unversioned", "unknown"):
        return ""
    return name[:10] + ("-dirty" if commit.get("dirty") else "")


# ---- writing -----------------------------------------------------------------------------------------------


def write(document: BenchDocument, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(to_json(document).encode())


def to_json(document: BenchDocument) -> str:
    """One benchmark a line: small, and what changed from run to run is seen."""
    from pytest_benchmark import __version__

    body: dict[str, Any] = {
        "machine_info": machine_info(document.machine),
        "commit_info": {
            "id": document.revision.removesuffix("-dirty") or "unversioned",
            "time": None,
            "author_time": None,
            "dirty": document.revision.endswith("-dirty"),
            "project": OURS,
            "branch": "(unknown)",
        },
        "datetime": document.machine.get("date"),
        "version": __version__,
        OURS: {"format": FORMAT, "version": VERSION, **asdict(document)},
    }
    del body[OURS]["records"]
    head = json.dumps(finite(body), indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    lines = [json.dumps(finite(_entry(one)), ensure_ascii=False, allow_nan=False) for one in document.records]
    return "".join((head, ',\n "benchmarks": [\n', ",\n".join(lines), "\n ]\n}\n"))


def machine_info(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What pytest-benchmark is told of the machine, and warns of where two files differ in it."""
    implementation, _, version = str(machine.get("python", "")).partition(" ")
    cpu = {"brand_raw": machine.get("cpu"), "id": machine.get("cpu_id"), "count": machine.get("usable_cores")}
    python = {"python_implementation": implementation, "python_version": version}
    return {"processor": machine.get("cpu"), "system": machine.get("platform"), **python, "cpu": cpu}


def _entry(record: Record) -> dict[str, Any]:
    """A benchmark as pytest-benchmark has it; a field that says nothing is left out of ``extra_info``."""
    stats: Any = import_module("pytest_benchmark.stats").Stats()  # here: who only reads may lack it
    for second in record.seconds:
        stats.update(second)
    body = asdict(record)
    info = {
        item.name: body[item.name]
        for item in fields(Record)
        if item.name not in _ELSEWHERE and (item.default is MISSING or not _says_nothing(body[item.name]))
    }
    if record.median_seconds != stats.median:
        info["median_seconds"] = record.median_seconds
    full = SUITES + record.name if ".py::" in record.name else record.name
    name = record.name.rpartition("::")[2]
    return {
        "group": record.group,
        "name": name,
        "fullname": full,
        "params": record.params or None,
        "param": name.partition("[")[2].removesuffix("]") or None,
        "extra_info": info | record.extra,
        "options": {},
        "stats": {
            **stats.as_dict(),
            "data": record.seconds,
            "iterations": record.extra.get("calls_a_sample", 1),
        },
    }


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
