"""What the speed-up study found: in sentences, as tables, as JSON, and as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.lesson.crops import CAT, OTHERS
from accel_logreg.lesson.descent import DescentStudy
from accel_logreg.lesson.dot import (
    ARRAY_LOOP,
    LESSON_SECONDS,
    LESSON_SIZE,
    LIST_INDEX_LOOP,
    LIST_LOOP,
    NUMPY,
    DotStudy,
)
from accel_logreg.measure.machine import cache_notes, noise_cautions
from accel_logreg.measure.page import render
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_bytes, in_words, significant

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

    @property
    def trained(self) -> DescentStudy:
        """The study with the most training: what the weights and predictions are shown from."""
        return self.like if self.full is None else self.full


def task_in_words(n_train: int, n_test: int, features: int, dtype: str) -> str:
    others = ", ".join(name.split(".")[0] for name in OTHERS)
    return (
        "A crop task, not a cat detector: tell crops of one cat photograph "
        f"({CAT.split('.')[0]}, label 1) from crops of seven other photographs ({others}; label 0). "
        f"{n_train:,} training and {n_test:,} test crops, half of each label 1, "
        f"{features:,} numbers each in [0, 1], {dtype}. "
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
    """The study in a few sentences."""
    sentences = []
    dot, size = results.dot, results.dot.headline_size()
    times = [found[size] for name in (ARRAY_LOOP, LIST_LOOP, NUMPY) if size in (found := dot.seconds(name))]
    if len(times) == 3:
        slow, quick, call = times
        sentences.append(
            f"{NUMPY} of {size:,} numbers takes {in_words(call)}: {significant(slow / call)} times faster "
            f"than the lesson's loop over arrays ({in_words(slow)}), {significant(quick / call)} times "
            f"faster than a loop over lists ({in_words(quick)})."
        )
    like = results.like
    fastest = min(like.runs, key=lambda run: run.step_seconds)
    if fastest is not like.runs[0]:
        sentences.append(
            f"One step of gradient descent on {like.n_rows:,} pictures takes "
            f"{in_words(like.runs[0].step_seconds)} on {like.runs[0].engine} and "
            f"{in_words(fastest.step_seconds)} on {fastest.engine}: "
            f"{significant(like.speed_up(fastest))} times faster, with the same costs."
        )
    trained, run = results.trained, results.trained.runs[-1]
    sentences.append(
        f"After {trained.steps:,} steps on {trained.n_rows:,} crops the model is right on "
        f"{run.train_accuracy:.1%} of the training crops and {run.test_accuracy:.1%} of {results.n_test:,} "
        "test crops; guessing gives 50%."
    )
    rounds = {f"the rounds of {run.engine}": run.samples for run in trained.runs}
    return sentences + noise_cautions(results.machine, results.load_average, rounds, UNSTEADY)


def engine_table(status: Mapping[str, BackendUnavailableError | None], measured: Sequence[str]) -> Table:
    rows = [
        (name, "yes", "measured" if name in measured else "not asked for")
        if error is None
        else (name, "no", f"{error.reason} {error.remedy}")
        for name, error in status.items()
    ]
    return Table("Engines on this machine", ("engine", "runs here", "remark"), rows)


def tables(results: Results) -> dict[str, Table]:
    """Every table of measurements by its name in the template; "full" only where it was measured."""
    named = {
        "dot": dot_table(results.dot),
        "dot_order": dot_order_table(results.dot),
        "like": descent_table(results, results.like, "Like with like, every engine"),
    }
    if results.full is not None:
        # The loop would need minutes here; its time is left out, not computed from fewer rows.
        named["full"] = descent_table(results, results.full, "All rows, without the loop")
    return named | {"phases": phase_table(results)}


def dot_table(study: DotStudy) -> Table:
    loop, call = in_words(LESSON_SECONDS["loop"]), in_words(LESSON_SECONDS[NUMPY])
    notes = [
        "Median time of one call by length of the vectors, float64.",
        f"{ARRAY_LOOP}: the lesson's total += a[i] * b[i] over NumPy arrays. {LIST_INDEX_LOOP}: over lists.",
        f"{LIST_LOOP}: for x, y in zip(a, b), over lists. {NUMPY}: BLAS, with the threads it is allowed.",
        "Every answer agreed with the correctly rounded sum to 1e-9 relative before it was timed.",
        f"The lesson's own figures for {LESSON_SIZE:,} numbers: {loop} for the loop, {call} for {NUMPY}.",
        *(f"{version} {reason}." for version, reason in study.stopped.items()),
    ]
    times = {
        version: {size: in_words(point.seconds) for size, point in points.items()}
        for version, points in study.versions().items()
    }
    return _by_size("Dot product", study.sizes(), times, notes)


def dot_speed_up_table(study: DotStudy) -> Table:
    """Times faster than the baseline at every length where both ran, with the interval."""
    base, *others = study.timed()
    factors = {way.name: {size: ratio.factor() for size, ratio in way.over(base).items()} for way in others}
    note = (
        f"Times faster than the {base.name}, by length of the vectors; in brackets the 95 % bootstrap "
        "interval of the ratio of medians, over rounds drawn for both alike."
    )
    return _by_size(f"Dot product: speed-up over the {base.name}", sorted(base.samples), factors, [note])


def _by_size(
    title: str, sizes: Sequence[int], cells: Mapping[str, Mapping[int, str]], notes: Sequence[str]
) -> Table:
    rows = [(version, *(found.get(size, "not run") for size in sizes)) for version, found in cells.items()]
    return Table(title, ("version", *map("{:,}".format, sizes)), rows, notes)


def dot_order_table(study: DotStudy) -> Table:
    """Speed-up, first call and transfer; who overtakes whom, and where."""
    smallest, headline = study.sizes()[0], study.headline_size()
    rows = []
    for version, points in study.versions().items():
        speed_up = study.speed_up(version)
        transfer = points[headline].transfer_seconds if headline in points else None
        rows.append(
            (
                version,
                "not run" if speed_up is None else f"{significant(speed_up)}×",
                in_words(points[smallest].first_seconds),
                "none" if transfer is None else in_words(transfer),
            )
        )
    columns = ("version", f"speed-up, {headline:,}", f"first call, {smallest:,}", f"transfer, {headline:,}")
    notes = (
        f"Speed-up is over the {study.baseline()}. A first call also compiles or loads what it needs.",
        *(one.in_words("numbers") for one in study.crossings()),
    )
    return Table("Dot product: who wins where", columns, rows, notes)


def descent_table(results: Results, study: DescentStudy, title: str) -> Table:
    first = study.runs[0].engine
    rows = [
        (
            run.engine,
            study.dtype,
            str(run.threads) if run.threads else "GPU",
            in_words(run.step_seconds),
            f"{significant(study.speed_up(run))}×",
            significant(study.bytes_per_second(run) / 1e9),
            f"{run.costs[-1]:.5f}",
            f"{run.train_accuracy:.1%}",
            f"{run.test_accuracy:.1%}",
        )
        for run in study.runs
    ]
    notes = [
        f"Cost and accuracies are those after {study.steps:,} steps from zeros.",
        f"Learning rate: 1/L = {study.learning_rate:.3g}, L the largest curvature of the cost.",
        f"One step: the median of {len(study.runs[0].samples)} interleaved rounds.",
        f"X GB/s: the {in_bytes(study.matrix_bytes)} of X divided by the time of one step.",
        f"Read bandwidth of the memory, measured here: {results.read_bandwidth / 1e9:.1f} GB/s.",
        *cache_notes(results.machine, study.matrix_bytes),
    ]
    if len(study.runs) > 1:
        notes.append(f"Costs of all steps: within {study.largest_difference:.1e} of {first}'s, relative.")
    columns = (
        "engine", "dtype", "threads", "one step", "speed-up", "X GB/s", "cost", "train acc.", "test acc.",
    )  # fmt: skip
    return Table(f"{title}: {study.n_rows:,} rows, speed-up over {first}", columns, rows, notes)


def phase_table(results: Results) -> Table:
    """What happens once, and the spread of what happens every step."""
    studies = [study for study in (results.like, results.full) if study is not None]
    columns = ["engine", "first use of all kernels"]
    rows = [[engine, in_words(seconds)] for engine, seconds in results.compile_seconds.items()]
    for study in studies:
        columns += [f"taking in {study.n_rows:,} rows", f"one step, {study.n_rows:,} rows, all rounds"]
        ran = {run.engine: run for run in study.runs}
        for row in rows:
            run = ran.get(row[0])
            row += ["not run", "not run"] if run is None else [
                in_words(run.transfer_seconds),
                f"{in_words(min(run.samples))} to {in_words(max(run.samples))}",
            ]  # fmt: skip
    note = (
        "First use compiles the kernels or loads them from a disk cache; taking in moves X and y to the "
        "engine's memory, or does nothing where the engine reads them in place. Neither is part of a step."
    )
    return Table("What happens once, and how steps vary", columns, rows, (note,))


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


def to_html(results: Results, pictures: Mapping[str, bytes]) -> str:
    """The page, with its style and its pictures inside."""
    trained = results.trained
    return render(
        Path(__file__).with_name(PAGE),
        pictures,
        results=results,
        machine=results.machine,
        headlines=headlines(results),
        task=task_in_words(trained.n_rows, results.n_test, trained.n_features, trained.dtype),
        engines=engine_table(results.status, list(results.compile_seconds)),
        tables=tables(results) | {"dot_speed_up": dot_speed_up_table(results.dot)},
        absent=absent(results),
        crossings=bool(results.dot.crossings()),
    )
