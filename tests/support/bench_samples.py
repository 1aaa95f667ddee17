"""A benchmark document as ``make bench`` writes it, made up: times drawn around what such a machine takes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from support import bench_documents

from accel_logreg.measure.intervals import median_interval
from bench.report.document import BenchDocument, Record

SEED = 20261123
ROUNDS = 11
BANDWIDTH, PRODUCT64, PRODUCT32 = 3.1e10, 9.2e10, 1.85e11
MACHINE: dict[str, Any] = {
    "date": "2026-11-25T21:00:00+00:00",
    "platform": "Linux-6.1-x86_64",
    "cpu": "Example <CPU> & Co.",
    "logical_cores": 4,
    "usable_cores": 4,
    "cpu_quota": None,
    "memory_bytes": 25_000_000_000,
    "cache_bytes": {"L1d": 49152, "L2": 2097152, "L3": 33554432},
    "python": "CPython 3.11.7",
    "packages": {"accel_logreg": "0.1.0", "numpy": "2.4.6", "numba": "0.68.1", "cupy": None},
    "blas": [{"name": "openblas", "version": "0.3.30", "threads": 4}],
    "gpus": [],
    "gpu_trouble": "the NVIDIA driver's library libcuda.so.1 was not found",
    "driver": None,
    "cuda": None,
    "nvrtc": "13.5",
}
NO_GPU = "The cupy engine cannot run: no NVIDIA driver was found."
# Seconds of one dot product of n numbers: fixed cost + n · cost of a number.
DOT = {
    ("python", "loop indexing arrays", 1): (2e-7, 1.1e-7),
    ("python", "loop over lists", 1): (3e-7, 2.6e-8),
    ("numpy", "np.dot", 4): (6e-7, 2.4e-10),
    ("numba", "numba, one thread", 1): (3e-7, 3.3e-10),
    ("numba", "numba, all threads", 4): (1.2e-5, 1.2e-10),
}
THREADS = {"python": 1, "numpy": 4, "numba": 4}
ENGINES = {"python": 2e-7, "numpy": 4e-10, "numba": 1.6e-10}  # seconds per number of X


def document(**changes: Any) -> BenchDocument:
    """The sample, with any of its fields replaced."""
    fields: dict[str, Any] = {
        "command": "python -m bench.run --full",
        "mode": "full",
        "revision": "33215ec-dirty",
        "machine": MACHINE,
        "ceilings": {"read bandwidth": BANDWIDTH, "float64 product": PRODUCT64, "float32 product": PRODUCT32},
        "noise": {"relative": 0.021, "load_average": 0.12, "stolen": 0.001, "warning": ""},
        "skipped": {
            f"bench_{suite}.py::bench_{what}[cupy-{k}]": NO_GPU
            for suite, what in (("dot", "dot"), ("pass", "gradient"), ("fit", "fit"))
            for k in range(4)
        },
    }
    return bench_documents.document(records(), **(fields | changes))


def only(sample: BenchDocument, *suites: str) -> BenchDocument:
    """The same document with the records of these suites."""
    return replace(sample, records=tuple(one for one in sample.records if one.suite in suites))


def records() -> list[Record]:
    """Every suite, with what its records carry."""
    rng, made = np.random.default_rng(SEED), []

    def add(*arguments: Any, **more: Any) -> None:
        made.append(record(rng, *arguments, **more))

    for size in (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        for (engine, version, threads), (fixed, each) in DOT.items():
            if fixed + each * size < 1.0:
                more = {"version": version, "threads": threads, "problem": "uniform"}
                moved = {"bytes_moved": 16.0 * size, "flops": 2.0 * size}
                group = f"dot product of {size:,} float64"
                add("dot", group, engine, fixed + each * size, shape=(2, size), **more, **moved)
    for question, flops in (("gradient", 4), ("hessian product", 6), ("hessian", 60)):
        for n, d, cache in ((2_000, 28, "hot"), (200_000, 300, "memory")):
            for dtype, width in (("float64", 8), ("float32", 4)):
                for engine, each in ENGINES.items():
                    if engine == "python" and n > 2_000:
                        continue
                    slowest = max(each * width / 8, flops / (0.4 * PRODUCT64), width / (0.93 * BANDWIDTH))
                    moved = {"bytes_moved": float(n * d * width), "flops": float(flops * n * d)}
                    more = {"shape": (n, d), "dtype": dtype, "cache": cache}
                    add("pass", f"{question} {n}x{d} {dtype}", engine, n * d * slowest, **more, **moved)
    for engine, each in ENGINES.items():
        numbers = 100 * 209 * 12288
        more = {"shape": (209, 12288), "problem": "pictures", "cache": "memory", "bytes_moved": 8.0 * numbers}
        add("descent", "100 descent steps 209x12288 float64", engine, numbers * each, **more)
    said = {"gap": 3.2e-10, "gap_kind": "certified", "suboptimality": 1.1e-10, "compile_seconds": 8.4}
    for n, d, solver in ((1_000_000, 28, "newton"), (20_000, 3_072, "newton-cg")):
        for engine in ("numpy", "numba"):
            more = {"shape": (n, d), "solver": solver, "reads": 5.25, "bytes_moved": 5.25 * n * d * 8}
            add("fit", f"fit {n}x{d} float64", engine, 5 * n * d * ENGINES[engine], **more, **said)
    for engine, seconds in (("numpy", 9e-4), ("numba", 1.9e-4)):
        add("overhead", "fit 569x30 float64", engine, seconds, shape=(569, 30), problem="breast cancer")
    for engine, share in (("numpy", 0.31), ("numba", 0.039)):
        for n, d, dtype, width in ((1_000_000, 28, "float64", 8), (100_000, 1_000, "float32", 4)):
            more = {"bytes_moved": float(n * d * width), "peak_bytes": int(share * n * d * width)}
            add("memory", f"fit {n}x{d} {dtype}", engine, 1e-9 * n * d, shape=(n, d), dtype=dtype, **more)
    sizes = [("by rows, 100 columns", f"{n} rows", n, 100) for n in (1_000, 10_000, 100_000, 1_000_000)]
    sizes += [("by columns, 30000 rows", f"{d} columns", 30_000, d) for d in (10, 100, 1_000)]
    scaled = [(engine, *size, THREADS[engine]) for engine in ("numpy", "numba") for size in sizes]
    by_threads = "by threads, 200000x100"
    scaled += [("numba", by_threads, f"{k} threads", 200_000, 100, k) for k in (1, 2, 3, 4)]
    for engine, group, version, n, d, threads in scaled:
        seconds = 1e-5 + n * d * ENGINES[engine] * math.sqrt(4 / threads)
        more = {"shape": (n, d), "threads": threads, "version": version, "bytes_moved": 8.0 * n * d}
        add("scaling", f"gradient float64 {group}", engine, seconds, **more)
    return made


def record(
    rng: np.random.Generator, suite: str, group: str, engine: str, seconds: float, **more: Any
) -> Record:
    """One record whose rounds scatter by 3 % around ``seconds``; with the ceiling that its bytes allow."""
    samples = tuple(float(s) for s in seconds * (1.0 + 0.03 * np.abs(rng.standard_normal(ROUNDS))))
    interval = median_interval(samples)
    version, threads = more.get("version", ""), more.get("threads", THREADS[engine])
    fields: dict[str, Any] = {
        "suite": suite,
        "group": group,
        "engine": engine,
        "threads": threads,
        "seed": SEED,
        "interval": (interval.low, interval.high),
        "interleaved": True,
        "first_seconds": 2.0 * seconds,
    }
    if more.get("bytes_moved"):
        rate = more["bytes_moved"] / interval.value
        fields |= {"rate": rate, "reads": 1.0}
        if more.get("cache") != "hot":
            percent = 100.0 * rate / BANDWIDTH
            fields |= {"ceiling": BANDWIDTH, "ceiling_of": "read bandwidth", "percent_of_ceiling": percent}
    name = f"bench_{suite}.py::bench[{engine}-{group}-{version}-{threads}]"
    return bench_documents.record(name, samples, **(fields | more))
