"""The process that measures a revision: right answers, this tree and no other, words when it dies."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
        closed = ask(do="close")
        assert what == "gradient" or 0.0 <= closed["suboptimality"] < 1e-7
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


def test_a_wrong_answer_is_no_time(tmp_path: Path) -> None:
    """A tree whose gradient is wrong by a thousandth: named, and not timed."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("accel_logreg", "kernels"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    with (tree / "accel_logreg" / "backends" / "numpy_vectorised/dense.py").open("a") as stream:
        stream.write(
            "\n_right = NumpyRows.loss_grad\n"
            "NumpyRows.loss_grad = lambda self, W: (_right(self, W)[0], 1.001 * _right(self, W)[1])\n"
        )
    process = Worker(uninstalled("this tree", tree), 1, [(200, 5)])
    try:
        process.post(do="open", name="gradient[numpy-200x5-float64]")
        process.post(do="close")
        assert "unavailable" not in process.reply()
        assert process.reply() == {"wrong": "gradient is wrong"}
    finally:
        process.end()


@pytest.mark.parametrize("shape", [(60, 9), (30, 29), (20, 40), (5, 200)])
def test_how_far_a_fit_is_from_the_optimum(shape: tuple[int, int]) -> None:
    """½ gᵀH⁻¹g against J itself at a point near the minimum, for tall X and for wide X."""
    from accel_logreg import LogisticRegression

    rng = np.random.default_rng(7)
    n, d = shape
    task = Task("fit", "numpy", n, d)
    opened = Opened(task, 1)
    fitted = LogisticRegression(backend="numpy", tol=1e-13).fit(opened.X, opened.y)
    best = np.append(fitted.coef_[0], fitted.intercept_)
    near = best + 1e-4 * rng.standard_normal(d + 1)

    def J(W: Any) -> float:
        return opened.loss_grad(W)[0] + float(W[:-1] @ W[:-1]) / (2 * n)

    true = (J(near) - J(best)) / J(best)
    assert opened._suboptimality(near) == pytest.approx(true, rel=1e-2)
    assert opened._suboptimality(best) < 1e-12
    opened.close()
