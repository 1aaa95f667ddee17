"""What is paid before and around the arithmetic: importing, the first call, calls on tiny problems."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import pytest

from accel_logreg.backends import load_backend
from accel_logreg.interface.engine import Engine
from bench.harness import child, questions
from bench.harness.work import Work
from bench.problems.dense import breast_cancer, correlated
from bench.problems.problem import Problem

TINY: dict[str, tuple[Any, ...]] = {
    "569x30": (breast_cancer, "float64"),
    "1000x20": (correlated, 1_000, 20, "float64"),
}
CACHES = {
    "compiled before": "first fit in a fresh process, compiled code on the disk",
    "nothing compiled": "first fit in a fresh process, nothing compiled",
}


def build(name: str) -> Problem:
    return questions.made(*TINY[name])


def bench_import(contest: Any) -> None:
    """``from accel_logreg import LogisticRegression`` in a fresh process, with what it needs."""

    def check(answer: dict[str, Any]) -> None:
        assert answer["version"], "the package was not imported"

    work = Work(
        lambda: child.ask(child.Task("import")),
        check,
        load_backend("numpy"),
        build("569x30").X[:0],
        "import accel_logreg in a fresh process",
        reads=0,
        told=lambda answer: float(answer["seconds"]),
        info={"threads": 1, "version": "import alone"},
    )
    contest(lambda: work)


def first_fit(engine: Engine, state: str) -> Work:
    task = child.Task("first", engine.name, "bench.problems.dense:breast_cancer", ("float64",))

    def call() -> dict[str, Any]:
        if state == "compiled before":
            return child.ask(task)
        with tempfile.TemporaryDirectory() as empty:
            return child.ask(task, {"NUMBA_CACHE_DIR": empty, "CUPY_CACHE_DIR": empty})

    def check(answer: dict[str, Any]) -> dict[str, Any]:
        facts = {name: answer[name] for name in ("solver", "gap", "gap_kind", "second_seconds")}
        if state == "nothing compiled" and engine.name in ("numba", "cupy"):
            facts["compile_seconds"] = answer["seconds"] - answer["second_seconds"]
        found = questions.judged(build("569x30"), answer["coef"], answer["intercept"])
        return facts | {"suboptimality": found}

    if state == "compiled before":
        child.ask(task)  # leaves compiled code on the disk, where an engine compiles at all
    return Work(
        call,
        check,
        engine,
        build("569x30").X,
        CACHES[state],
        reads=0,
        told=lambda answer: float(answer["seconds"]),
        info={"problem": "breast cancer"},
    )


@pytest.mark.parametrize("state", CACHES)
def bench_first_fit(contest: Any, engine: Engine, state: str) -> None:
    if state == "nothing compiled" and engine.name in ("python", "numpy"):
        pytest.skip(f"{engine.name} compiles nothing: its first fit is the other one")
    contest(partial(first_fit, state=state), engine=engine)


def tiny_fit(engine: Engine, name: str) -> Work:
    """Here what comes around the arithmetic takes longer than the arithmetic."""
    problem, group = build(name), f"tiny fit {name}, called again and again"
    return questions.fit(engine, problem, group, problem=problem.name.rpartition(" ")[0])


@pytest.mark.parametrize("name", TINY)
def bench_tiny_fit(contest: Any, engine: Engine, name: str) -> None:
    contest(partial(tiny_fit, name=name), engine=engine)
