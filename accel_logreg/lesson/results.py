"""What one run of the speed-up study measured, and the same in a few sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.lesson.crops import CAT, OTHERS
from accel_logreg.lesson.descent import DescentStudy
from accel_logreg.lesson.dot_study import ARRAY_LOOP, LIST_LOOP, NUMPY, DotStudy
from accel_logreg.measure.words import in_words, significant

BUSY = 0.25  # share of the cores; above it the reader is warned
UNSTEADY = 2.0  # slowest round over fastest; the same


@dataclass(frozen=True)
class Results:
    """Everything that was measured, and under which conditions.

    Attributes
    ----------
    study : str
        "full" or "quick": how much was measured.
    machine : dict
        ``Machine.to_dict()``.
    load_average : float
        Of the minute before the study: how many processes were running or ready to.
    read_bandwidth : float
        Bytes per second of the host's memory.
    status : dict
        Engine → None, or the error that says why it cannot run here.
    compile_seconds : dict
        Engine → seconds of the first use of every kernel, for the engines that were measured.
    n_test : int
    like : DescentStudy
        All engines on the loop's few rows.
    full : DescentStudy or None
        The fast engines on all rows; None where only the loop was asked for.
    """

    study: str
    n_threads: int | None
    machine: dict[str, Any]
    load_average: float
    read_bandwidth: float
    status: dict[str, BackendUnavailableError | None]
    compile_seconds: dict[str, float]
    n_test: int
    dot: DotStudy
    like: DescentStudy
    full: DescentStudy | None

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
    times = {version: dot.seconds(version).get(size) for version in (ARRAY_LOOP, LIST_LOOP, NUMPY)}
    slow, quick, call = times[ARRAY_LOOP], times[LIST_LOOP], times[NUMPY]
    if slow is not None and quick is not None and call is not None:
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
    return sentences + _cautions(results)


def _cautions(results: Results) -> list[str]:
    """Why the times may not be this machine's best: other work before the study, or during it."""
    sentences = []
    cores = results.machine["usable_cores"]
    if results.load_average > BUSY * cores:
        sentences.append(
            "Take these times with care: in the minute before the study other work kept about "
            f"{results.load_average:.1f} of {cores} cores busy."
        )
    spreads = {run.engine: max(run.samples) / min(run.samples) for run in results.trained.runs}
    worst = max(spreads, key=lambda engine: spreads[engine])
    if spreads[worst] > UNSTEADY:
        sentences.append(
            f"Take these times with care: the rounds of {worst} differ {spreads[worst]:.1f}-fold, so the "
            "machine was not quiet. Repeat the study when it is."
        )
    return sentences
