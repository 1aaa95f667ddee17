"""Extra memory at the peak of a fit, beside X and y, in a fresh process; on a GPU, of the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from accel_logreg.interface.engine import Engine
from bench.harness import child, questions
from bench.harness.memory import Peak
from bench.harness.work import Work
from bench.problems.dense import correlated, pixels
from bench.problems.problem import Problem


@dataclass(frozen=True)
class Case:
    """What the child makes, and what this process makes to judge its answer: the same."""

    make: Callable[..., Problem]
    arguments: tuple[Any, ...]
    full: bool = False


CASES = {
    "100000x28 float64": Case(correlated, (100_000, 28, "float64")),
    "100000x28 float32": Case(correlated, (100_000, 28, "float32")),
    "208x12288 float64": Case(pixels, (208, "float64"), full=True),
    "1000000x28 float64": Case(correlated, (1_000_000, 28, "float64"), full=True),
    "20000x3072 float32": Case(correlated, (20_000, 3_072, "float32"), full=True),
}
PARAMETERS = [pytest.param(name, marks=pytest.mark.full if case.full else ()) for name, case in CASES.items()]


def fit(engine: Engine, name: str) -> Work:
    case = CASES[name]
    task = child.Task("memory", engine.name, f"bench.problems.dense:{case.make.__name__}", case.arguments)
    problem = questions.made(case.make, *case.arguments)

    def check(answer: dict[str, Any]) -> dict[str, Any]:
        facts = {key: answer[key] for key in ("peak_bytes", "solver", "gap", "gap_kind")}
        return facts | {
            "suboptimality": questions.judged(problem, answer["coef"], answer["intercept"]),
            "percent_of_X": 100.0 * answer["peak_bytes"] / problem.X.nbytes,
        }

    return Work(
        lambda: child.ask(task),
        check,
        engine,
        problem.X,
        f"extra memory of a fit {name}",
        reads=0,
        told=lambda answer: float(answer["seconds"]),
        info={"problem": problem.name.partition(" ")[0]},
    )


@pytest.mark.parametrize("name", PARAMETERS)
def bench_memory(contest: Any, engine: Engine, name: str) -> None:
    if engine.name == "python":
        pytest.skip("the Python loop keeps X as lists of floats, four times its bytes, and takes minutes")
    if engine.name != "cupy" and Peak().bytes() is None:
        pytest.skip("this system does not tell the peak of resident memory; Linux does, in /proc")
    contest(partial(fit, name=name), engine=engine)
