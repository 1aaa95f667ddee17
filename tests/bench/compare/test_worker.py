"""The process that measures a revision: right answers, this tree and no other, words when it dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.compare.answers import check
from bench.compare.revisions import RevisionError, Side, Worker, uninstalled
from bench.compare.worker import Opened, Task

ROOT = Path(__file__).parents[3]


@pytest.fixture
def worker() -> Iterator[Worker]:
    process = Worker(uninstalled("this tree", ROOT), 1, [(200, 5)])
    yield process
    process.end()


def test_a_worker_measures_this_tree(worker: Worker) -> None:
    def ask(**request: Any) -> dict[str, Any]:
        worker.post(**request)
        return worker.reply()

    for what in ("gradient", "fit"):
        assert ask(do="open", name=f"{what}[numpy-200x5-float64]")["threads"] == 1
        calls = ask(do="calls", at_least=1e-4)["calls"]
        assert calls >= 1
        assert all(seconds > 0.0 for seconds in ask(do="take", calls=calls, seconds=1e-3)["seconds"])
        found = check(Task(what, "numpy", 200, 5), ask(do="close")["answer"])
        assert found is None if what == "gradient" else 0.0 <= found < 1e-7
    assert "unavailable" in ask(do="open", name="no_such")


def test_a_worker_that_would_measure_another_tree_is_refused(tmp_path: Path) -> None:
    side = Side("base", Path(sys.executable), ROOT, tmp_path / "accel_logreg")
    process = Worker(side, 1, [])
    try:
        with pytest.raises(RevisionError, match="base: accel_logreg came from"):
            process.post(do="open", name="fit")
    finally:
        process.end()


def test_a_worker_that_dies_is_told_with_what_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "accel_logreg").mkdir()
    (tmp_path / "accel_logreg" / "__init__.py").write_text(
        "import os\nos.write(2, b'last words')\nos._exit(7)\n"
    )
    process = Worker(uninstalled("base", tmp_path), 1, [])
    try:
        with pytest.raises(
            RevisionError,
            match=r"base: the measuring process died: .* status 7: last words",
        ):
            process.post(do="open", name="fit")
    finally:
        process.end()


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        *((what, "correlated") for what in ("gradient", "hessian-product", "descent", "predict")),
        *(("fit", problem) for problem in ("correlated", "sparse")),
    ],
)
def test_right_answers_pass_and_wrong_ones_are_named(what: str, problem: str) -> None:
    task = Task(what, "numpy", 300, 7, problem=problem)
    opened = Opened(task, 1)
    answer = opened.close()
    suboptimality = check(task, answer)
    assert suboptimality is None if what != "fit" else 0.0 <= suboptimality < 1e-8
    with pytest.raises(ArithmeticError, match="is wrong"):
        check(task, [1.01 * number for number in answer])
