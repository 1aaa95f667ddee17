"""How a gradient and a fit grow with rows and with columns, and shrink with threads."""

from __future__ import annotations

from typing import Any

import pytest

from accel_logreg.interface.engine import Engine
from accel_logreg.measure.machine import usable_cores
from accel_logreg.profile.rows import flops
from bench.harness import questions
from bench.harness.work import Work
from bench.judge.answers import close_gradient, loss_grad
from bench.problems.dense import correlated

LOOP = "the Python loop is as slow an entry at every size; bench_pass has it"
QUICK_ROWS, FULL_ROWS = (1_000, 10_000, 100_000), (300, 3_000, 30_000, 300_000, 1_000_000)
QUICK_COLUMNS, FULL_COLUMNS = (10, 100), (30, 300, 1_000)
COLUMNS_OF_ROWS, ROWS_OF_COLUMNS = 28, 10_000
ROWS_OF_THREADS = 100_000


def _sizes(quick: tuple[int, ...], full: tuple[int, ...]) -> list[Any]:
    return sorted(
        [*(pytest.param(n) for n in quick), *(pytest.param(n, marks=pytest.mark.full) for n in full)],
        key=lambda parameter: int(parameter.values[0]),
    )


def _threads() -> list[Any]:
    """1, 2, 4, … and all; few in a quick run."""
    every = sorted({min(2**k, usable_cores()) for k in range(usable_cores().bit_length() + 1)})
    quick = {1, usable_cores()}
    return [pytest.param(n, marks=() if n in quick else pytest.mark.full) for n in every]


def gradient(engine: Engine, n: int, d: int, threads: int | None, group: str, version: str) -> Work:
    problem = questions.made(correlated, n, d, "float64")
    return questions.ask(
        engine,
        problem,
        lambda rows: rows.loss_grad(problem.weights),
        close_gradient(loss_grad(problem)),
        f"gradient float64 {group}",
        reads=1,
        threads=threads,
        problem="correlated",
        version=version,
        flops=flops("loss_grad", n, d, {}, None),
    )


def fit(engine: Engine, n: int, d: int, threads: int | None, group: str, version: str) -> Work:
    problem, group = questions.made(correlated, n, d, "float64"), f"fit float64 {group}"
    return questions.fit(engine, problem, group, threads=threads, problem="correlated", version=version)


WHAT = {"gradient": gradient, "fit": fit}
FIT_IN_FULL = ["gradient", pytest.param("fit", marks=pytest.mark.full)]


@pytest.mark.parametrize("rows", _sizes(QUICK_ROWS, FULL_ROWS))
@pytest.mark.parametrize("what", WHAT)
def bench_rows(contest: Any, engine: Engine, what: str, rows: int) -> None:
    if engine.name == "python":
        pytest.skip(LOOP)

    def prepare(engine: Engine, rows: int) -> Work:
        return WHAT[what](engine, rows, COLUMNS_OF_ROWS, None, "by rows, 28 columns", f"{rows} rows")

    contest(prepare, engine=engine, rows=rows)


@pytest.mark.parametrize("columns", _sizes(QUICK_COLUMNS, FULL_COLUMNS))
@pytest.mark.parametrize("what", FIT_IN_FULL)
def bench_columns(contest: Any, engine: Engine, what: str, columns: int) -> None:
    if engine.name == "python":
        pytest.skip(LOOP)

    def prepare(engine: Engine, columns: int) -> Work:
        group = f"by columns, {ROWS_OF_COLUMNS} rows"
        return WHAT[what](engine, ROWS_OF_COLUMNS, columns, None, group, f"{columns} columns")

    contest(prepare, engine=engine, columns=columns)


@pytest.mark.parametrize("threads", _threads())
@pytest.mark.parametrize("what", FIT_IN_FULL)
def bench_threads(contest: Any, engine: Engine, what: str, threads: int) -> None:
    if engine.name not in ("numpy", "numba"):
        pytest.skip(f"{engine.name} does not divide its work among threads of the host")

    def prepare(engine: Engine, threads: int) -> Work:
        group = f"by threads, {ROWS_OF_THREADS}x{COLUMNS_OF_ROWS}"
        version = f"{threads} threads" if threads > 1 else "1 thread"
        return WHAT[what](engine, ROWS_OF_THREADS, COLUMNS_OF_ROWS, threads, group, version)

    contest(prepare, engine=engine, threads=threads)
