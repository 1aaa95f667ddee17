"""``python -m bench.compare.trial``: does ``compare`` catch a slow-down of 20 %, and nothing else?

Run by hand: two minutes for the planted part, and for each re-run half a minute to over one, by the noise.
The uncommitted tree is exported twice:

- as it is, measured against itself 20 times: no benchmark may be flagged;
- with a slow-down planted in ``loss_grad`` of the NumPy and Numba engines: after each pass over X, its first
  rows are passed over again, the same work as what it slows. How many rows take 20 % of a pass is measured
  first. Every gradient must be flagged.

The exit status is 0 if both came out so.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from accel_logreg.backends import load_backend
from accel_logreg.measure.table import Table, show
from bench.compare.comparison import Selection
from bench.compare.report import conclusion
from bench.compare.revisions import Checkout, uninstalled
from bench.compare.rounds import Plan
from bench.compare.study import Question, Study, compare_sides, conclude, conductor, ended_by_signals
from bench.compare.worker import Task, problem

SHAPE = (40_000, 28)  # a few MB: neighbours take the memory's pace away, less so the caches'
PLANTED = 0.20
_CALLS = 300  # at most, of each size; the least counts, as in the rounds
_FILES = {
    "numba": ("numba_jit/dense.py", "NumbaRows"),
    "numpy": ("numpy_vectorised/dense.py", "NumpyRows"),
}
_PLANT = """

_plain_loss_grad = {rows}.loss_grad


def _slower_loss_grad(self, W):
    answer = _plain_loss_grad(self, W)
    share = {shares}.get(str(self.dtype))
    if share is not None and self.n_rows == {n}:
        if not hasattr(self, "_again"):
            m = int(share * self.n_rows)
            self._again = {rows}(self._X[:m], self._y[:m], None)
        _plain_loss_grad(self._again, W)
    return answer


{rows}.loss_grad = _slower_loss_grad
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compare.trial", description=__doc__)
    parser.add_argument("--tries", type=int, default=20, help="of a tree against itself")
    parser.add_argument("--rounds", type=int, default=5, help="as compare's --rounds")
    parser.add_argument("--n-threads", type=int, help="of the engines; all cores if not given")
    options = parser.parse_args(arguments)
    question = Question(
        select=Selection("gradient and not cupy"),
        plan=Plan(rounds=options.rounds, turns=3, seconds=0.02, rest=0.03),
        threads=options.n_threads,
        shapes=(SHAPE,),
    )
    began = time.perf_counter()
    checkout = Checkout.around(Path(__file__).parent)
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="accel-logreg-trial-") as folder:
        plain = checkout.export(checkout.revision("WORKTREE"), Path(folder) / "a")
        same, slow = plain.with_name("b"), plain.with_name("c")
        shutil.copytree(plain, same, symlinks=True)
        shutil.copytree(plain, slow, symlinks=True)
        shares = {task: share_of_rows(task, options.n_threads) for task in question.tasks()}
        plant(slow, shares)
        sides = uninstalled("plain", plain), uninstalled("planted", slow)
        rows = [_planted(compare_sides(*sides, question, report=_report), time.perf_counter() - began)]
        print("; ".join(rows[0]), file=sys.stderr, flush=True)  # the rest takes minutes
        rows += _reruns(plain, same, question, options.tries)
    good = all(row[-1] == "as it should be" for row in rows)
    title = f"Trial of compare: {len(shares)} benchmarks, {time.perf_counter() - began:.0f} s in all"
    notes = tuple(
        f"{task.name}: 20 % more is a pass over {share:.1%} of the rows" for task, share in shares.items()
    )
    columns = ("what", "flagged", "ratios B/A", "seconds", "verdict")
    show(Console(highlight=False), Table(title, columns, tuple(rows), notes))
    return 0 if good else 1


def share_of_rows(task: Task, threads: int | None) -> float:
    """Which share of the first rows takes PLANTED times as long as all of them."""
    X, y = problem(task.problem, task.rows, task.features)
    X = X.astype(task.dtype)
    engine = load_backend(task.engine)
    W = np.ones(task.features + 1)
    share = PLANTED
    with engine.threads(threads):
        whole = engine.place(X, y, None)
        for _ in range(3):
            m = int(share * task.rows)
            part = engine.place(X[:m], y[:m], None)
            both = _least(lambda part=part: (whole.loss_grad(W), part.loss_grad(W)))  # type: ignore[misc]
            more = both / _least(lambda: whole.loss_grad(W)) - 1.0
            share = float(np.clip(share * PLANTED / max(more, 0.02), 0.05, 0.6))
    return share


def plant(tree: Path, shares: dict[Task, float]) -> None:
    """Make ``loss_grad`` of a tree's engines slower."""
    for engine, (file, rows) in _FILES.items():
        mine = {task.dtype: share for task, share in shares.items() if task.engine == engine}
        with (tree / "accel_logreg" / "backends" / file).open("a", encoding="utf-8") as stream:
            stream.write(_PLANT.format(rows=rows, shares=mine, n=SHAPE[0]))


def _least(call: Callable[[], object], seconds: float = 1.0) -> float:
    end = time.perf_counter() + seconds
    least = np.inf
    for _ in range(_CALLS):
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
        if start > end:
            break
    return float(least)


def _report(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _reruns(a: Path, b: Path, question: Question, tries: int) -> list[tuple[str, ...]]:
    """One row for all tries; a row more for every try that flagged something."""
    measuring = conductor(uninstalled("plain", a), uninstalled("the same", b), question, _report)
    prepared = measuring.prepare(question.tasks())
    began, ratios, flagged, false = time.perf_counter(), [], 0, []
    for number in range(tries):
        print(f"the same tree, {number + 1} of {tries}", file=sys.stderr, flush=True)
        study = conclude(measuring.measure(copy.deepcopy(prepared)), ("plain", "the same"), question)
        ratios += [row.ratio.value for row in study.comparison.rows]
        failures = study.comparison.failures
        flagged += bool(failures)
        _report(conclusion(study.comparison))
        false += [
            (f"try {number + 1}: {row.name}", "1", f"{row.ratio.value:.3f}", "", "FALSE") for row in failures
        ]
    seconds = time.perf_counter() - began
    said = "as it should be" if not flagged else "FALSE ALARMS"
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}" if ratios else "none"
    return [(f"the same, {tries} times", f"{flagged} of {tries}", spread, f"{seconds:.0f}", said), *false]


def _planted(study: Study, seconds: float) -> tuple[str, ...]:
    rows = study.comparison.rows
    caught = len(study.comparison.failures)
    values = ", ".join(
        f"{row.ratio.value:.3f}" + ("" if row.fails else f" ({row.verdict}; {row.remark})") for row in rows
    )
    said = "as it should be" if caught == len(rows) and not study.comparison.wrong else "MISSED"
    return ("20 % planted", f"{caught} of {len(rows)}", values, f"{seconds:.0f}", said)


if __name__ == "__main__":
    sys.exit(main())
