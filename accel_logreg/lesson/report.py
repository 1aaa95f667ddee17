"""What the speed-up study found: in sentences, as tables, as JSON, and as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.lesson.crops import CAT, OTHERS
from accel_logreg.lesson.descent import DescentStudy, EngineRun
from accel_logreg.lesson.dot import ARRAY_LOOP, LIST_INDEX_LOOP, LIST_LOOP, NUMPY, Claim, DotStudy
from accel_logreg.lesson.exact import ExactFit
from accel_logreg.measure.machine import cache_notes, noise_cautions
from accel_logreg.measure.page import render
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_words, significant

PAGE = "report.html"
RESULTS = "results.json"
UNSTEADY = 2.0  # slowest round over fastest; above it the reader is warned


@dataclass(frozen=True)
class Results:
    """Everything that was measured, and under which conditions."""

    study: str  # "full" or "quick": how much was measured
    n_threads: int | None
    machine: dict[str, Any]  # Machine.to_dict()
    load_average: float  # of the minute before: how many processes were running or ready to
    read_bandwidth: float  # bytes per second of the host's memory
    status: dict[str, BackendUnavailableError | None]  # engine → why it cannot run here, if it cannot
    compile_seconds: dict[str, float]  # first use of every kernel, for the engines that were measured
    n_test: int
    dot: DotStudy
    like: DescentStudy  # all engines on the loop's few rows
    full: DescentStudy | None  # the fast engines on all rows; None where only the loop was asked for
    exact: tuple[ExactFit, ...] = ()  # of the same rows as ``full``; none without it

    @property
    def trained(self) -> DescentStudy:
        """The study with the most training: what the weights and predictions are shown from."""
        return self.like if self.full is None else self.full


def task_in_words(n_train: int, n_test: int, features: int, dtype: str) -> str:
    others = ", ".join(name.split(".")[0] for name in OTHERS)
    return (
        "The lesson tells cat pictures from others. Here a picture is a crop: a square cut out of a "
        f"photograph. Label 1 is a crop of one cat photograph ({CAT.split('.')[0]}), label 0 a crop of "
        f"another ({others}). It is not a cat detector. "
        f"{n_train:,} crops to train on and {n_test:,} to test with, half of each label 1. "
        f"A crop is {features:,} numbers in [0, 1], {dtype}. "
        "No pixel of a test crop is in a training crop."
    )


def absent(results: Results) -> dict[str, str]:
    """Engine → why it was not measured, for every engine that was not."""
    return {
        engine: "not asked for" if error is None else error.reason
        for engine, error in results.status.items()
        if engine not in results.compile_seconds
    }


def headlines(results: Results) -> list[str]:
    """The study in a few sentences: what a terminal shows, and in its sections the page."""
    claim = results.dot.claim()
    said = [] if claim is None else [claim_in_words(claim)]
    return [*said, *catch(results), *step_in_words(results), *learned_in_words(results), *cautions(results)]


def claim_in_words(claim: Claim) -> str:
    text = (
        f"{significant(claim.factor)} times faster than the loop: np.dot(a, b) of {claim.size:,} numbers "
        f"takes {in_words(claim.call)}, the loop c += a[i] * b[i] {in_words(claim.loop)}."
    )
    if claim.lists is not None:
        text += f" A loop over lists takes {in_words(claim.lists)}."
    return text


def catch(results: Results) -> list[str]:
    """What compiled kernels cost at their first use, and after how many steps that has paid."""
    seconds = results.compile_seconds.get("numba")
    if seconds is None:
        return []
    sentence = (
        f"The catch: numba's kernels took {in_words(seconds)} at their first use here, to compile them "
        "or to load them from the disk."
    )
    paid = [
        f"{_steps(ceil(seconds / (slow.step_seconds - fast.step_seconds)))} over {slow.engine} "
        f"({study.n_rows:,} pictures)"
        for slow, fast, study in _pairs(results)
        if fast.step_seconds < slow.step_seconds
    ]
    return [sentence + (f" That has paid after {' and after '.join(paid)}." if paid else "")]


def _steps(n: int) -> str:
    return "1 step" if n == 1 else f"{n:,} steps"


def _pairs(results: Results) -> list[tuple[EngineRun, EngineRun, DescentStudy]]:
    """Numba's run beside the loop's on the loop's rows, and beside NumPy's on all rows."""
    found = []
    for study, other in ((results.like, "python"), (results.full, "numpy")):
        runs = {} if study is None else {run.engine: run for run in study.runs}
        if study is not None and {other, "numba"} <= runs.keys():
            found.append((runs[other], runs["numba"], study))
    return found


def step_in_words(results: Results) -> list[str]:
    like = results.like
    fastest = min(like.runs, key=lambda run: run.step_seconds)
    if fastest is like.runs[0]:
        return []
    slow = like.runs[0]
    sentence = (
        f"One step of gradient descent on {like.n_rows:,} pictures takes {in_words(slow.step_seconds)} on "
        f"{slow.engine} and {in_words(fastest.step_seconds)} on {fastest.engine}: "
        f"{significant(like.speed_up(fastest))} times faster than {slow.engine}, with the same costs."
    )
    return [sentence]


def learned_in_words(results: Results) -> list[str]:
    trained, run = results.trained, results.trained.runs[-1]
    exact = [f"an exact fit with C={fit.C:g} on {fit.test_accuracy:.1%}" for fit in results.exact]
    how = f"{trained.steps:,} steps on {trained.n_rows:,} pictures"
    shares = [f"{run.test_accuracy:.1%} of {results.n_test:,} new pictures", *exact]
    return [f"After {how} the model is right on {', '.join(shares)}; guessing gives 50%."]


def cautions(results: Results) -> list[str]:
    dot = results.dot
    calls = [
        points[dot.headline_size()] for name, points in dot.versions().items() if name in (ARRAY_LOOP, NUMPY)
    ]
    timed = {run.engine: run.samples for run in results.trained.runs} | {
        one.version: one.samples for one in calls
    }
    rounds = {f"the rounds of {name}": samples for name, samples in timed.items()}
    return noise_cautions(results.machine, results.load_average, rounds, UNSTEADY)


def engine_table(status: Mapping[str, BackendUnavailableError | None], measured: Sequence[str]) -> Table:
    rows = [
        (name, "yes", "measured" if name in measured else "not asked for")
        if error is None
        else (name, "no", f"{error.reason} {error.remedy}")
        for name, error in status.items()
    ]
    return Table("Engines on this machine", ("engine", "runs here", "remark"), rows)


def tables(results: Results) -> dict[str, Table]:
    """Every table of measurements by its name in the template."""
    return {"dot": dot_table(results.dot), "steps": step_table(results), "learned": learned_table(results)}


def dot_table(study: DotStudy) -> Table:
    """Median time of one call by length; what stopped, and who overtakes whom."""
    headline = study.headline_size()
    copies = {
        name: points[headline].transfer_seconds
        for name, points in study.versions().items()
        if headline in points
    }
    notes = [
        "Median time of one call by length of the vectors, float64.",
        f"{ARRAY_LOOP}: the lesson's c += a[i] * b[i] over NumPy arrays. {LIST_INDEX_LOOP}: over lists.",
        f"{LIST_LOOP}: for x, y in zip(a, b), over lists. {NUMPY}: BLAS, with the threads it is allowed.",
        "Every answer agreed with the correctly rounded sum to 1e-9 relative before it was timed.",
        *(f"{version} {reason}." for version, reason in study.stopped.items()),
        *(
            f"{name}: {in_words(seconds)} more to copy {headline:,} numbers twice to the device."
            for name, seconds in copies.items()
            if seconds is not None
        ),
        *(one.in_words("numbers") for one in study.crossings()),
    ]
    sizes = [headline, *(size for size in study.sizes() if size != headline)]  # a phone shows the first
    rows = [
        (version, *(in_words(points[size].seconds) if size in points else "not run" for size in sizes))
        for version, points in study.versions().items()
    ]
    return Table("Dot product", ("version", *map("{:,}".format, sizes)), rows, notes)


def step_table(results: Results) -> Table:
    """One step of gradient descent on every engine: few rows for all, all rows for the fast ones."""
    studies = [study for study in (results.like, results.full) if study is not None]
    columns = ["engine"]
    for study in studies:
        columns += [f"{study.n_rows:,} pictures", f"over {study.runs[0].engine}", "GB/s"]
    rows = []
    for engine, first_use in results.compile_seconds.items():
        row, threads = [engine], ""
        for study in studies:
            run = next((run for run in study.runs if run.engine == engine), None)
            if run is None:
                row += ["not run", "", ""]
                continue
            threads = str(run.threads or "GPU")
            rate = significant(study.bytes_per_second(run) / 1e9)
            row += [in_words(run.step_seconds), f"{significant(study.speed_up(run))}×", rate]
        rows.append([*row, in_words(first_use), threads])
    memory = f"{results.read_bandwidth / 1e9:.1f} GB/s"
    notes = [
        f"One step: the median of {len(results.trained.runs[0].samples)} rounds, taken in turns.",
        f"GB/s: the bytes of X by the time of one step. The memory here was read at {memory}.",
        *cache_notes(results.machine, results.like.matrix_bytes),
        "First use compiles the kernels or loads them from the disk. It is part of no step.",
        *(
            f"{study.n_rows:,} pictures: the costs of all {study.steps:,} steps are those of "
            f"{study.runs[0].engine}, to {study.largest_difference:.1e} relative."
            for study in studies
            if len(study.runs) > 1
        ),
    ]
    return Table("One step of gradient descent", [*columns, "first use", "threads"], rows, notes)


def learned_table(results: Results) -> Table:
    """What the training found, beside the exact fit of the same rows."""
    study, run = results.trained, results.trained.runs[-1]
    rows = [
        (
            f"{study.steps:,} steps of gradient descent", f"{run.test_accuracy:.1%}",
            f"{run.train_accuracy:.1%}", in_words(study.steps * run.step_seconds), f"{study.steps:,}",
        ),
        *(
            (
                f"exact fit, C={fit.C:g}", f"{fit.test_accuracy:.1%}", f"{fit.train_accuracy:.1%}",
                in_words(fit.seconds), f"{fit.reads:.1f}",
            )
            for fit in results.exact
        ),
    ]  # fmt: skip
    notes = [
        f"{run.engine}, {study.n_rows:,} pictures. Cost after the last step: {run.costs[-1]:.5f}.",
        f"Learning rate: 1/L = {study.learning_rate:.3g}, L the largest curvature of the cost.",
        "Passes over X: how often all of X was gone through. A step of gradient descent is one.",
    ]
    if results.exact:
        notes += [
            "An exact fit ends at the optimum, to 1e-8 of the cost. C is 1/(strength of the penalty).",
            "Gradient descent has no penalty. Stopping early keeps the weights small, which acts like one.",
        ]
    return Table("What was learned", ("how", "test", "training", "time", "passes over X"), rows, notes)


def formula_table() -> Table:
    """The lesson's formulas, and the code of each on one number and on whole arrays."""
    rows = (
        (
            "z = wᵀx + b", "linear", "z += row[j] * w[j]",
            "X @ w + b",
        ),
        (
            "ŷ = a = σ(z) = 1/(1 + e⁻ᶻ)", "sigmoid", "(1.0 if z >= 0 else e) / (1.0 + e)",
            "np.where(z >= 0, 1.0, e) / (1.0 + e)",
        ),
        (
            "L(ŷ, y) = −(y log ŷ + (1 − y) log(1 − ŷ))", "loss", "max(z, 0.0) - y * z + log1p(exp(-fabs(z)))",
            "np.maximum(z, 0.0) - y * z + np.log1p(np.exp(-np.abs(z)))",
        ),
        (
            "J(w, b) = (1/m) Σᵢ L(ŷᵢ, yᵢ)", "cost", "total += s[i] * losses[i]",
            "float(s @ losses) / weight_sum",
        ),
        (
            "da = −y/a + (1 − y)/(1 − a)", "backward_da", "-y / a + (1.0 - y) / (1.0 - a)",
            "-y / a + (1.0 - y) / (1.0 - a)",
        ),
        (
            "dz = a − y", "backward_dz", "a - y",
            "a - y",
        ),
        (
            "dw = (1/m) Σᵢ xᵢ dzᵢ", "backward_dw", "add_scaled_row(dw, s[i] * dz[i], X[i])",
            "((s * dz) @ X) / weight_sum",
        ),
        (
            "db = (1/m) Σᵢ dzᵢ", "backward_db", "total += s[i] * dz[i]",
            "float(s @ dz) / weight_sum",
        ),
        (
            "w := w − α dw, b := b − α db", "gradient_descent_step", "w[j] - alpha * dw[j]",
            "w - alpha * dw",
        ),
    )  # fmt: skip
    notes = (
        "The lesson: Andrew Ng's deep-learning course, weeks 1 and 2.",
        "The loop: kernels/python_loop/dense.py. NumPy: kernels/numpy_vectorised/dense.py, the same names.",
        "The lesson's n, the numbers a picture has, is our d. A picture is a row of X here, a column there.",
    )
    return Table("Formula and code", ("formula", "function", "loop", "NumPy"), rows, notes)


def to_json(results: Results) -> str:
    """All raw figures: every sample and every cost, but not the weights."""
    return json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Errors, arrays and dataclasses as what JSON knows; the arrays W are left out for their size."""
    if isinstance(value, BackendUnavailableError):
        return {"reason": value.reason, "remedy": value.remedy}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return {name: item for name, item in vars(value).items() if name != "W"}


def to_html(results: Results, pictures: Mapping[str, bytes], tutorial: str = "") -> str:
    """The page, with its style and its pictures inside.

    tutorial : where the formulas are derived, as the page links to it; nothing where there is no checkout
    """
    trained, machine, claim = results.trained, results.machine, results.dot.claim()
    cores = f"{machine['usable_cores']} usable"
    return render(
        Path(__file__).with_name(PAGE),
        pictures,
        claim=claim,
        factor="" if claim is None else significant(claim.factor),
        times={} if claim is None else {"loop": in_words(claim.loop), "call": in_words(claim.call)},
        catch=catch(results),
        cautions=cautions(results),
        step=step_in_words(results),
        task=task_in_words(trained.n_rows, results.n_test, trained.n_features, trained.dtype),
        formulas=formula_table(),
        engines=engine_table(results.status, list(results.compile_seconds)),
        machine=[
            ("processor", machine["cpu"]),
            ("cores", cores),
            ("memory", f"read at {results.read_bandwidth / 1e9:.1f} GB/s"),
            ("Python", machine["python"]),
            ("measured", f"{machine['date']}, {results.study} study"),
        ],
        tables=tables(results),
        absent=absent(results),
        tutorial=tutorial,
    )
