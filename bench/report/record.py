"""From pytest-benchmark's JSON to the records of a benchmark document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from accel_logreg.measure.intervals import median_interval
from accel_logreg.profile.ceilings import Ceilings
from bench.report.document import Record

MOST_SAMPLES = 60
_RECORDED = {item.name for item in fields(Record)}


def record(entry: Mapping[str, Any], ceilings: Mapping[str, float]) -> Record:
    """One benchmark. What its test said by a field's name becomes that field, all else ``extra``."""
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
    known |= {key: info.pop(key) for key in list(info) if key in _RECORDED}
    arithmetic = info.pop("arithmetic", "float64")
    known["shape"] = tuple(known["shape"])
    return Record(**(known | limit(known, arithmetic, ceilings)), extra=info)


def thinned(seconds: Sequence[float], most: int = MOST_SAMPLES) -> tuple[float, ...]:
    """At most so many of them, evenly spaced: members of a group keep the same rounds. Six digits each."""
    kept = list(range(len(seconds)))
    if len(seconds) > most:
        kept = np.linspace(0, len(seconds) - 1, most).round().astype(int).tolist()
    return tuple(float(f"{seconds[k]:.6g}") for k in kept)


def limit(known: Mapping[str, Any], arithmetic: str, ceilings: Mapping[str, float]) -> dict[str, Any]:
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


def named(host: Ceilings | None, device: Ceilings | None) -> dict[str, float]:
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
