"""What is not alike in two benchmark documents, and what that forbids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.report.document import BenchDocument, Record

# Of the machine: another one, if any of these differs.
_IDENTITY = {
    "cpu": "processor",
    "logical_cores": "cores",
    "usable_cores": "usable cores",
    "cpu_quota": "limit in cores",
    "gpus": "GPUs",
}
_SETTINGS = {
    "platform": "system",
    "memory_bytes": "memory in bytes",
    "cache_bytes": "caches in bytes",
    "python": "Python",
    "blas": "BLAS",
    "driver": "driver",
    "cuda": "CUDA",
    "nvrtc": "NVRTC",
}
# Of a record: it measures something else, if any of these differs.
_MEASURED = ("engine", "group", "problem", "shape", "dtype", "threads", "seed", "cache")


def other_machine(a: BenchDocument, b: BenchDocument) -> tuple[str, ...]:
    """In what the machines differ, in sentences; empty for the same one."""
    return _differences(a.machine, b.machine, _IDENTITY)


def shared_differences(a: BenchDocument, b: BenchDocument) -> tuple[str, ...]:
    """What differs in machine, versions and mode, and what a document says of itself, in sentences."""
    told = [*other_machine(a, b), *_differences(a.machine, b.machine, _SETTINGS)]
    told += _packages(a.machine.get("packages") or {}, b.machine.get("packages") or {})
    if a.mode != b.mode:
        told.append(f"mode: {a.mode} in A, {b.mode} in B")
    told += [
        f"{side} warns: {document.noise['warning']}"
        for side, document in (("A", a), ("B", b))
        if document.noise.get("warning")
    ]
    told += [
        f"{name}: {a.ceilings[name]:.3g} in A, {b.ceilings[name]:.3g} in B, measured in each run"
        for name in a.ceilings
        if b.ceilings.get(name) and not 1 / 1.05 < a.ceilings[name] / b.ceilings[name] < 1.05
    ]
    return tuple(told)


def incomparable(a: Record, b: Record) -> str:
    """In what two records of one name differ, so that their times cannot be compared; empty if in nothing."""
    return "; ".join(
        f"{name} {_shown(getattr(a, name))} in A, {_shown(getattr(b, name))} in B"
        for name in _MEASURED
        if getattr(a, name) != getattr(b, name)
    )


def machine_factors(a: BenchDocument, b: BenchDocument, of_a: Record, of_b: Record) -> tuple[float, float]:
    """By which factor the machine's own limit fell from A to B, and by which it rose: each at least 1.

    The limit measured beside the record where there is one, else the worst and the best of the run's.
    """
    if of_a.ceiling and of_b.ceiling and of_a.ceiling_of == of_b.ceiling_of:
        fallen = [of_a.ceiling / of_b.ceiling]
    else:
        fallen = [
            value / b.ceilings[name] for name, value in a.ceilings.items() if value and b.ceilings.get(name)
        ]
    return max([1.0, *fallen]), max([1.0, *(1.0 / factor for factor in fallen)])


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{text}: {_shown(a.get(name))} in A, {_shown(b.get(name))} in B"
        for name, text in names.items()
        if a.get(name) != b.get(name)
    )


def _packages(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**a, **b} if name != "accel_logreg" and a.get(name) != b.get(name)]
    return [f"{name}: {_shown(a.get(name))} in A, {_shown(b.get(name))} in B" for name in names]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        return " ".join(str(item) for item in (value.get("name"), value.get("version")) if item) or str(value)
    return str(value)
