"""Benchmark documents made up for the tests of ``compare``, with the noise of a shared machine."""

from __future__ import annotations

import numpy as np
from support.bench_documents import document, record

from bench.report.document import BenchDocument


def in_turns(
    rng: np.random.Generator, benchmarks: int, rounds: int, slower: dict[int, float], wild: bool = False
) -> tuple[BenchDocument, BenchDocument]:
    """What interleaved rounds give: a floor, where a process happens to lie, what a round shares, a tail.

    A figure is the least of 20 batches. Now and then a process lives in a second mode, half as slow again.
    ``wild`` makes each of these so large that nothing should be concluded.
    """
    floors = 10.0 ** rng.uniform(-3.5, -1.0, benchmarks)
    shared = 1.0 + rng.exponential(0.2, rounds)
    sides = []
    for factors in ({}, slower):
        records = []
        for i, floor in enumerate(floors):
            mode = np.where(rng.random(rounds) < (0.4 if wild else 0.04), 1.5, 1.0)
            place = np.exp(rng.normal(0.0, 0.2 if wild else 0.015, rounds))
            tail = (1.0 + rng.exponential(0.3, (20, rounds))).min(axis=0)
            seconds = floor * factors.get(i, 1.0) * mode * place * shared * tail
            records.append(record(f"b{i}", seconds))
        sides.append(document(records))
    return sides[0], sides[1]


def apart(
    rng: np.random.Generator, benchmarks: int, slower: dict[int, float], run: float = 0.01
) -> tuple[BenchDocument, BenchDocument]:
    """What two runs of the suites give: as above, but for samples of one process a run and side.

    ``run`` is how much a benchmark's level differs from run to run, as a relative standard deviation.
    """
    floors = 10.0 ** rng.uniform(-3.5, -1.0, benchmarks)
    sides = []
    for factors in ({}, slower):
        records = []
        for i, floor in enumerate(floors):
            rounds = int(rng.integers(7, 60))
            mode = np.where(rng.random(rounds) < 0.05, 1.5, 1.0)
            level = floor * factors.get(i, 1.0) * (1.0 + rng.normal(0.0, run))
            seconds = level * mode * (1.0 + rng.exponential(0.05, rounds))
            records.append(record(f"b{i}", seconds, engine=("numba", "numpy")[i % 2]))
        sides.append(document(records))
    return sides[0], sides[1]
