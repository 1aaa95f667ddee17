"""What runs on this machine, what does not, and the exact command that mends it.

``examine`` only looks; it changes nothing. The command line prints what it finds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from accel_logreg.backends import BackendUnavailableError, backend_status, load_backend
from accel_logreg.backends.cupy_fused.probe import cupy_distributions
from accel_logreg.measure.machine import BUSY, Machine, read_bandwidth
from accel_logreg.measure.words import in_bytes, in_memory

FAST_ENGINES = ("numba", "cupy")
LAB_PACKAGES = ("typer", "rich", "matplotlib", "pillow", "jinja2", "pyarrow", "scikit-image")
INSTALL_LAB = 'pip install "accel_logreg[lab]"'
INSTRUCTIONS = (
    ("avx512vnni", "AVX-512 with VNNI"),
    ("avx512f", "AVX-512"),
    ("avx2", "AVX2"),
    ("neon", "NEON"),
)
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
    busy = list(busy_findings(machine, os.getloadavg()[0]))  # before the bandwidth keeps cores busy itself
    processor = [*processor_findings(machine), *busy, *(bandwidth_findings(machine) if measure else ())]
    found = {
        "Engines": engine_findings(backend_status(), machine),
        "Packages": package_findings(machine),
        "Processor": processor,
        "GPU": gpu_findings(machine),
        "Compiled code": cache_findings(),
    }
    return [Section(title, tuple(findings)) for title, findings in found.items()]


def runs_fast() -> bool:
    """Whether a compiled engine, on the processor or on a GPU, runs here."""
    return any(backend_status()[name] is None for name in FAST_ENGINES)


def engine_findings(
    status: Mapping[str, BackendUnavailableError | None], machine: Machine
) -> Iterator[Finding]:
    """One finding an engine. Without a GPU, an idle cupy engine is no trouble."""
    for name, error in status.items():
        if error is None:
            threads = load_backend(name).n_threads(None)
            yield Finding("ok", f"{name} runs" + (f" on {threads} threads" if threads > 1 else ""))
        else:
            level: Level = "note" if name == "cupy" and not machine.gpus else "trouble"
            yield Finding(level, f"{name} cannot run: {error.reason}", error.remedy)


def package_findings(machine: Machine) -> Iterator[Finding]:
    """Versions; and which packages of the extra "lab" are missing."""
    versions = [f"{name} {version}" for name, version in machine.packages.items() if version is not None]
    yield Finding("ok", f"{machine.python}, {', '.join(versions)}")
    missing = [name for name in LAB_PACKAGES if not _installed(name)]
    if missing:
        text = f"missing: {', '.join(missing)}; some commands of accel-logreg need them"
        yield Finding("note", text, INSTALL_LAB)
    cupy = cupy_distributions()
    if len(cupy) > 1:
        text = f"{len(cupy)} CuPy packages overwrite each other's files: {', '.join(cupy)}"
        yield Finding("trouble", text, f"pip uninstall -y {' '.join(cupy)} && {_install_cupy(machine)}")


def processor_findings(machine: Machine) -> Iterator[Finding]:
    """Cores, caches, memory, BLAS."""
    caches = ", ".join(f"{name} {in_memory(size)}" for name, size in machine.cache_bytes.items())
    blas = ", ".join(f"{lib.name} {lib.version} on {lib.threads} threads" for lib in machine.blas)
    yield Finding("ok", f"{machine.cpu}: {machine.usable_cores} of {machine.logical_cores} cores usable")
    yield Finding("ok", f"memory {in_memory(machine.memory_bytes)}; caches: {caches or 'unknown'}")
    yield Finding("ok", f"BLAS: {blas or 'unknown'}")
    yield from instruction_findings()
    if machine.cpu_quota is not None and machine.cpu_quota < machine.usable_cores:
        threads = max(1, int(machine.cpu_quota))
        yield Finding(
            "trouble",
            f"this container may use {machine.cpu_quota:g} cores but sees {machine.usable_cores}: "
            "threads beyond the quota only wait for each other",
            f"export NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads}",
        )


def instruction_findings() -> Iterator[Finding]:
    """What the numba engine compiles for; nothing where it does not run."""
    if backend_status()["numba"] is not None:
        return
    from accel_logreg.kernels.numba_jit.blocks import int8_products
    from accel_logreg.kernels.numba_jit.llvm import compiled_for

    found = next((name for feature, name in INSTRUCTIONS if compiled_for(feature)), "no wide vectors")
    set_by = [name for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES") if os.environ.get(name)]
    text = f"numba compiles for {found}" + (f", because of {' and '.join(set_by)}" if set_by else "")
    if int8_products.available():
        yield Finding("ok", f"{text}: Hessians from products of 8 bits")
    else:
        yield Finding("note", f"{text}: Hessians in float32, as products of 8 bits need AVX-512 VNNI")


def busy_findings(machine: Machine, load_average: float) -> Iterator[Finding]:
    """Whether figures that are measured now would be this machine's best."""
    cores = machine.usable_cores
    if load_average > BUSY * cores:
        yield Finding(
            "note",
            f"in the minute before, other work kept about {load_average:.1f} of {cores} cores busy: take "
            "times and rates that are measured now with care",
        )


def bandwidth_findings(machine: Machine) -> Iterator[Finding]:
    """The measured read bandwidth: bytes(X) divided by it is the shortest time of one gradient."""
    largest_cache = max(machine.cache_bytes.values(), default=0)
    array = min(max(512_000_000, 4 * largest_cache), machine.memory_bytes // 8)
    rate = read_bandwidth(megabytes=max(1, array // 1_000_000))
    text = f"reads {in_bytes(rate)}/s from an array of {in_bytes(array)}"
    if array < 4 * largest_cache:
        yield Finding("note", f"{text}, which the cache partly holds: memory itself is slower")
    else:
        yield Finding("ok", text)


def gpu_findings(machine: Machine) -> Iterator[Finding]:
    """Devices, driver, CUDA and NVRTC, and whether they fit the CuPy that is installed."""
    versions = f"driver {machine.driver or 'unknown'}, runs CUDA up to {machine.cuda or 'unknown'}"
    if not machine.gpus and machine.driver is None and machine.cuda is None:
        yield Finding("note", f"no NVIDIA GPU: {machine.gpu_trouble}")
        return
    if not machine.gpus:
        hidden = "CUDA_VISIBLE_DEVICES" in os.environ
        remedy = "unset CUDA_VISIBLE_DEVICES" if hidden else "nvidia-smi  # what does the driver see?"
        yield Finding("trouble", f"no usable GPU: {machine.gpu_trouble} ({versions})", remedy)
        return
    for gpu in machine.gpus:
        text = f"{gpu.name}, {in_memory(gpu.memory_bytes)}, compute capability {gpu.compute_capability}"
        if tuple(map(int, gpu.compute_capability.split("."))) < OLDEST_GPU:
            oldest = ".".join(map(str, OLDEST_GPU))
            text += f": the kernels need {oldest} or newer, so use the numba engine"
            yield Finding("trouble", text)
        else:
            yield Finding("ok", text)
    yield Finding("ok", versions)
    install, cupy = _install_cupy(machine), cupy_distributions()
    if not cupy:
        yield Finding("note", "CuPy is not installed: the GPU stays idle", install)
    elif machine.nvrtc is None:
        yield Finding("trouble", "CuPy finds no NVRTC to compile kernels with", install)
    else:
        yield Finding("ok", f"NVRTC {machine.nvrtc}")
    match = re.fullmatch(r"cupy-cuda(\d+)x", cupy[0]) if len(cupy) == 1 else None
    if match and machine.cuda is not None and int(match[1]) > int(machine.cuda.split(".")[0]):
        text = f"{cupy[0]} is for a newer CUDA than the driver's {machine.cuda}"
        yield Finding("trouble", text, f"pip uninstall -y {cupy[0]} && {install}")


def cache_findings() -> Iterator[Finding]:
    """Where compiled kernels are kept between processes."""
    if backend_status()["numba"] is not None:
        yield Finding("note", "Numba cannot run, so nothing is compiled for the processor")
        return
    folder = _numba_cache()
    if folder is None:
        text = "Numba finds no folder it may write: kernels compile again in every process"
        yield Finding("trouble", text, 'export NUMBA_CACHE_DIR="$HOME/.cache/numba"')
    else:
        yield Finding("ok", f"Numba keeps compiled kernels in {folder}")


def _numba_cache() -> str | None:
    from accel_logreg.kernels.numba_jit import reductions as numba_reductions

    folder: str | None = numba_reductions.sum_of.stats.cache_path
    return folder


def _install_cupy(machine: Machine) -> str:
    """The extra whose CUDA this machine's driver runs; 13 where there is no driver to ask."""
    major = 13 if machine.cuda is None else int(machine.cuda.split(".")[0])
    return f'pip install "accel_logreg[cuda{12 if major < 13 else 13}]"'


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
