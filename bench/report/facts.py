"""The machine a benchmark document is from, and whether it was quiet, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accel_logreg.measure.clock import significant
from accel_logreg.measure.words import in_bytes, in_flops
from bench.report.document import BenchDocument

NOT_TOLD = "not recorded"


@dataclass(frozen=True)
class Verdict:
    """quiet : bool or None where the run did not tell; words : one or two sentences."""

    quiet: bool | None
    words: str


def verdict(document: BenchDocument) -> Verdict:
    """Whether anything may be concluded from the times."""
    noise = document.noise
    parts = []
    if (relative := _number(noise, "relative")) is not None:
        parts.append(f"a fixed piece of work varied by {relative:.1%} during the run")
    if (load := _number(noise, "load_average")) is not None:
        parts.append(f"the load average of the minute before was {load:.2f}")
    if (stolen := _number(noise, "stolen")) is not None:
        parts.append(f"the host gave {stolen:.1%} of the time to others")
    if drift := _number(noise, "drift"):
        parts.append(f"at its end it was {abs(drift):.1%} {'slower' if drift > 0 else 'faster'}")
    details = _sentence(", ".join(parts))
    if warning := str(noise.get("warning") or ""):
        words = f"Not quiet: conclude nothing from small differences. {_sentence(warning)} {details}"
        return Verdict(False, words.strip())
    if not parts:
        return Verdict(None, "Whether the machine was quiet is not recorded: take differences with care.")
    return Verdict(True, f"Quiet enough to compare. {details}")


def facts(document: BenchDocument) -> list[tuple[str, str]]:
    """(name, value), what the machine did not tell left out."""
    machine = document.machine
    cores, quota = machine.get("usable_cores"), machine.get("cpu_quota")
    limited = f", limited to {quota:g}" if quota else ""
    threads = sorted({record.threads for record in document.records if record.threads})
    blas = [f"{one['name']} {one['version']} ({one['threads']} threads)" for one in machine.get("blas") or ()]
    pairs = [
        ("processor", str(machine.get("cpu") or NOT_TOLD)),
        ("cores", f"{cores} usable of {machine.get('logical_cores')}{limited}" if cores else ""),
        ("threads used", ", ".join(map(str, threads))),
        ("caches", _listed({name: in_bytes(size) for name, size in machine.get("cache_bytes", {}).items()})),
        ("memory", in_bytes(machine["memory_bytes"]) if machine.get("memory_bytes") else ""),
        ("GPU", _gpu(machine)),
        ("system", str(machine.get("platform") or "")),
        ("Python", str(machine.get("python") or "")),
        ("packages", _listed(machine.get("packages", {}))),
        ("BLAS", ", ".join(blas)),
        ("date", str(machine.get("date") or NOT_TOLD)),
        ("revision", document.revision or NOT_TOLD),
        ("command", f"{document.command} ({document.mode})"),
    ]
    return [(name, value) for name, value in pairs if value]


def ceilings(document: BenchDocument) -> list[tuple[str, str]]:
    """Every ceiling with its unit: products are counted in flops, all else in bytes."""
    return [
        (name, f"{in_flops(rate)}/s" if "product" in name else f"{significant(rate / 1e9)} GB/s")
        for name, rate in document.ceilings.items()
    ]


def _listed(named: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items() if value)


def _gpu(machine: dict[str, Any]) -> str:
    gpus = machine.get("gpus") or ()
    if not gpus:
        return f"none: {machine.get('gpu_trouble') or 'no reason recorded'}"
    words = [str(gpu.get("name", "unnamed")) for gpu in gpus]
    versions = [f"{name} {machine[name]}" for name in ("driver", "cuda", "nvrtc") if machine.get(name)]
    return "; ".join(words + versions)


def _number(noise: dict[str, Any], name: str) -> float | None:
    value = noise.get(name)
    return float(value) if isinstance(value, int | float) and value == value else None


def _sentence(words: str) -> str:
    words = words.strip()
    return words and words[0].upper() + words[1:].rstrip(".") + "."
