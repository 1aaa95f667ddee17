"""What a benchmark's rate is set against: the machine's own limits, measured in the same run.

Nothing is faster than a limit, so no figure stands above 100 %. Where a rate is above what was measured as
its ceiling, one of two things is so, and is said:

- X fits into the last-level cache, and came from there: memory was no ceiling for it, and it has none;
- the ceiling was measured too low, because something else ran, or because a plain read does not ask for
  memory ahead: then the best rate that was seen is the ceiling of this run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from accel_logreg.profile.ceilings import Ceilings
from bench.report.document import BenchDocument, Record

FROM_CACHE = "faster_than"  # in a record's extra: the ceiling that X from a cache exceeded
MEMORY = ("read bandwidth", "device copy")


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


def none_above(document: BenchDocument) -> BenchDocument:
    """The same run with no record above its ceiling; for one that is not, the same document."""
    cache = max((document.machine.get("cache_bytes") or {}).values(), default=0)
    records = [_from_cache(one) if _is_above(one) and _fits(one, cache) else one for one in document.records]
    best: dict[str, float] = {}
    for one in filter(_is_above, records):
        best[one.ceiling_of] = max(best.get(one.ceiling_of, 0.0), one.rate or 0.0)
    measured = {name: document.ceilings[name] for name in best if name in document.ceilings}
    return replace(
        document,
        records=tuple(
            _under(one, best[one.ceiling_of]) if one.ceiling_of in best else one for one in records
        ),
        ceilings=document.ceilings | best,
        exceeded=measured | document.exceeded,
    )


def _is_above(record: Record) -> bool:
    return (record.percent_of_ceiling or 0.0) > 100.0 * (1.0 + 1e-9)


def _fits(record: Record, cache: int) -> bool:
    """X, which one read moves, may have stayed in the host's last-level cache of so many bytes."""
    if record.ceiling_of != "read bandwidth" or not record.bytes_moved:
        return False
    return record.bytes_moved / (record.reads or 1.0) <= cache


def _from_cache(record: Record) -> Record:
    extra = {**record.extra, FROM_CACHE: record.ceiling_of}
    return replace(record, ceiling=None, ceiling_of="", percent_of_ceiling=None, extra=extra)


def _under(record: Record, ceiling: float) -> Record:
    return replace(record, ceiling=ceiling, percent_of_ceiling=100.0 * (record.rate or 0.0) / ceiling)
