"""What runs on this machine, what does not, and the exact command that mends it.

``examine`` only looks; it changes nothing. The command line prints what it finds.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from accel_logreg.backends import BackendUnavailableError, backend_status, load_backend
from accel_logreg.backends.cupy_fused.probe import cupy_distributions
from accel_logreg.measure.cuda_driver import Gpu
from accel_logreg.measure.machine import Machine, read_bandwidth
from accel_logreg.measure.words import in_bytes, in_memory

FAST_ENGINES = ("numba", "cupy")
LAB_PACKAGES = ("typer", "rich", "matplotlib", "pillow", "jinja2", "pyarrow", "scikit-image")
INSTALL_LAB = 'pip install "accel_logreg[lab]"'
OLDEST_GPU = (7, 0)  # compute capability

Level = Literal["ok", "note", "trouble"]


@dataclass(frozen=True)
class Finding:
    """One fact: fine, worth knowing, or a trouble; ``remedy`` is the command that mends it, if any."""

    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    findings: tuple[Finding, ...]


def examine(machine: Machine, *, measure: bool = True) -> list[Section]:
    """Look at the engines, packages, processor, GPU and caches of this machine.

    ``measure=False`` leaves out the read bandwidth, which takes about two seconds and an array of up to
    an eighth of the memory.
    """
    status = backend_status()
    return [
        Section("Engines", engine_findings(status, machine)),
        Section("Packages", package_findings(machine)),
        Section(
            "Processor", (*processor_findings(machine), *(bandwidth_findings(machine) if measure else ()))
        ),
        Section("GPU", gpu_findings(machine)),
        Section("Compiled code", cache_findings()),
    ]


def runs_fast() -> bool:
    """Whether a compiled engine, on the processor or on a GPU, runs here."""
    return any(backend_status()[name] is None for name in FAST_ENGINES)


def engine_findings(
    status: dict[str, BackendUnavailableError | None], machine: Machine
) -> tuple[Finding, ...]:
    """One finding an engine. Without a GPU, an idle cupy engine is no trouble."""
    findings = []
    for name, error in status.items():
        if error is None:
            threads = load_backend(name).n_threads(None)
            findings.append(Finding("ok", f"{name} runs" + (f" on {threads} threads" if threads > 1 else "")))
        else:
            level: Level = "note" if name == "cupy" and not machine.gpus else "trouble"
            findings.append(Finding(level, f"{name} cannot run: {error.reason}", error.remedy))
    return tuple(findings)


def package_findings(machine: Machine) -> tuple[Finding, ...]:
    """Versions; and which packages of the extra "lab" are missing."""
    versions = [f"{name} {version}" for name, version in machine.packages.items() if version is not None]
    findings = [Finding("ok", f"{machine.python}, {', '.join(versions)}")]
    missing = [name for name in LAB_PACKAGES if not _installed(name)]
    if missing:
        text = f"missing: {', '.join(missing)}; some commands of accel-logreg need them"
        findings.append(Finding("note", text, INSTALL_LAB))
    cupy = cupy_distributions()
    if len(cupy) > 1:
        remedy = f"pip uninstall -y {' '.join(cupy)} && {_install_cupy(machine)}"
        text = f"{len(cupy)} CuPy packages overwrite each other's files: {', '.join(cupy)}"
        findings.append(Finding("trouble", text, remedy))
    return tuple(findings)


def processor_findings(machine: Machine) -> tuple[Finding, ...]:
    """Cores, caches, memory, BLAS."""
    caches = ", ".join(f"{name} {in_memory(size)}" for name, size in machine.cache_bytes.items())
    blas = ", ".join(f"{lib.name} {lib.version} on {lib.threads} threads" for lib in machine.blas)
    findings = [
        Finding("ok", f"{machine.cpu}: {machine.usable_cores} of {machine.logical_cores} cores usable"),
        Finding("ok", f"memory {in_memory(machine.memory_bytes)}; caches: {caches or 'unknown'}"),
        Finding("ok", f"BLAS: {blas or 'unknown'}"),
    ]
    if machine.cpu_quota is not None and machine.cpu_quota < machine.usable_cores:
        threads = max(1, int(machine.cpu_quota))
        findings.append(
            Finding(
                "trouble",
                f"this container may use {machine.cpu_quota:g} cores but sees {machine.usable_cores}: "
                "threads beyond the quota only wait for each other",
                f"export NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads}",
            )
        )
    return tuple(findings)


def bandwidth_findings(machine: Machine) -> tuple[Finding, ...]:
    """The measured read bandwidth: bytes(X) divided by it is the shortest time of one gradient."""
    largest_cache = max(machine.cache_bytes.values(), default=0)
    array = min(max(512_000_000, 4 * largest_cache), machine.memory_bytes // 8)
    rate = read_bandwidth(megabytes=max(1, array // 1_000_000))
    text = f"reads {in_bytes(rate)}/s from an array of {in_bytes(array)}"
    if array < 4 * largest_cache:
        return (Finding("note", f"{text}, which the cache partly holds: memory itself is slower"),)
    return (Finding("ok", text),)


def gpu_findings(machine: Machine) -> tuple[Finding, ...]:
    """Devices, driver, CUDA and NVRTC, and whether they fit the CuPy that is installed."""
    versions = f"driver {machine.driver or 'unknown'}, runs CUDA up to {machine.cuda or 'unknown'}"
    if not machine.gpus:
        if machine.driver is None and machine.cuda is None:
            return (Finding("note", f"no NVIDIA GPU: {machine.gpu_trouble}"),)
        hidden = "CUDA_VISIBLE_DEVICES" in os.environ
        remedy = "unset CUDA_VISIBLE_DEVICES" if hidden else "nvidia-smi  # what does the driver see?"
        return (Finding("trouble", f"no usable GPU: {machine.gpu_trouble} ({versions})", remedy),)
    findings = [*map(_device_finding, machine.gpus), Finding("ok", versions)]
    install = _install_cupy(machine)
    cupy = cupy_distributions()
    if not cupy:
        findings.append(Finding("note", "CuPy is not installed: the GPU stays idle", install))
    elif machine.nvrtc is None:
        findings.append(Finding("trouble", "CuPy finds no NVRTC to compile kernels with", install))
    else:
        findings.append(Finding("ok", f"NVRTC {machine.nvrtc}"))
    if len(cupy) == 1 and _newer_than_driver(cupy[0], machine):
        text = f"{cupy[0]} is for a newer CUDA than the driver's {machine.cuda}"
        findings.append(Finding("trouble", text, f"pip uninstall -y {cupy[0]} && {install}"))
    return tuple(findings)


def cache_findings() -> tuple[Finding, ...]:
    """Where compiled kernels are kept between processes."""
    if backend_status()["numba"] is not None:
        return (Finding("note", "Numba cannot run, so nothing is compiled for the processor"),)
    folder = _numba_cache()
    if folder is None:
        return (
            Finding(
                "trouble",
                "Numba finds no folder it may write: kernels compile again in every process",
                'export NUMBA_CACHE_DIR="$HOME/.cache/numba"',
            ),
        )
    return (Finding("ok", f"Numba keeps compiled kernels in {folder}"),)


def _numba_cache() -> str | None:
    from accel_logreg.kernels.numba_jit import reductions as numba_reductions

    folder: str | None = numba_reductions.array_sum.stats.cache_path
    return folder


def _device_finding(gpu: Gpu) -> Finding:
    text = f"{gpu.name}, {in_memory(gpu.memory_bytes)}, compute capability {gpu.compute_capability}"
    if tuple(map(int, gpu.compute_capability.split("."))) < OLDEST_GPU:
        oldest = ".".join(map(str, OLDEST_GPU))
        return Finding("trouble", f"{text}: the kernels need {oldest} or newer, so use the numba engine")
    return Finding("ok", text)


def _cuda_major(version: str | None) -> int | None:
    return None if version is None else int(version.split(".")[0])


def _install_cupy(machine: Machine) -> str:
    """The extra whose CUDA this machine's driver runs; 13 where there is no driver to ask."""
    major = _cuda_major(machine.cuda)
    extra = "cuda12" if major is not None and major < 13 else "cuda13"
    return f'pip install "accel_logreg[{extra}]"'


def _newer_than_driver(distribution: str, machine: Machine) -> bool:
    match = re.fullmatch(r"cupy-cuda(\d+)x", distribution)
    driver = _cuda_major(machine.cuda)
    return match is not None and driver is not None and int(match[1]) > driver


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
