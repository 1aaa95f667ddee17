"""Gradient descent through the interface, on every engine, from the same start with the same steps.

All engines take the same steps on the same rows, in turns: gradient descent needs nothing but W to go on, so
each engine takes a few steps, hands over, and continues from its own W in the next round. The rounds together
are the whole training, and each of them is one sample of the time per step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np

from accel_logreg.backends import load_backend
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.rows import Rows
from accel_logreg.lesson.crops import Crops
from accel_logreg.measure.clock import Clock, Subject, engine_subject, require_equal
from accel_logreg.problem.objective import Objective

RELATIVE = {"float64": 1e-9, "float32": 1e-4}  # how far a cost may be from the first engine's


@dataclass(frozen=True)
class EngineRun:
    """One engine's training; accuracy is the share of rows on the right side of a = ½."""

    engine: str
    threads: int  # that it may use; 0 for a GPU, which has thousands of its own
    transfer_seconds: float  # taking X and y into its own memory; not part of the samples
    samples: tuple[float, ...]  # seconds per step, one figure a round
    costs: Float64  # (steps + 1,): J in nats per row before every step, and after the last
    W: Float64  # (p,)
    train_accuracy: float
    test_accuracy: float

    @property
    def step_seconds(self) -> float:
        return median(self.samples)


@dataclass(frozen=True)
class DescentStudy:
    """All engines on the same rows. matrix_bytes is what one read of X moves, as it is stored."""

    runs: tuple[EngineRun, ...]
    n_rows: int
    n_features: int
    dtype: str
    matrix_bytes: int
    learning_rate: float
    steps: int
    largest_difference: float  # of any cost of any engine from the first engine's, relative

    def speed_up(self, run: EngineRun) -> float:
        """Relative to the first run, on the same rows."""
        return self.runs[0].step_seconds / run.step_seconds

    def bytes_per_second(self, run: EngineRun) -> float:
        return self.matrix_bytes / run.step_seconds


class _Trainee:
    """One engine's rows, and the W it has reached."""

    def __init__(self, name: str, crops: Crops, n_threads: int | None, clock: Clock) -> None:
        self.backend = load_backend(name)
        self.W: Float64 = np.zeros(crops.X.shape[1] + 1)
        self.costs: list[Float64] = []
        made: list[Rows] = []
        take = engine_subject(
            name, lambda: made.append(self.backend.place(crops.X, crops.y, None)), n_threads
        )
        self.transfer_seconds = clock.once(take)
        self.rows, self.around = made[0], take.around

    def subject(self, n_threads: int | None, learning_rate: float, steps: int) -> Subject:
        """So many steps on from W. Those of settling start at the origin and are thrown away."""
        origin = np.zeros_like(self.W)

        def descend() -> None:
            part = self.rows.descend(self.W, learning_rate, 0.0, steps, True)
            self.W = part.W
            self.costs.append(part.costs)

        def settle() -> None:
            self.rows.descend(origin, learning_rate, 0.0, 1, True)

        subject = engine_subject(self.backend.name, descend, n_threads)
        # A step of the loop is itself longer than any settling.
        return subject if subject.name == "python" else replace(subject, settle=settle)

    def accuracy(self, crops: Crops) -> float:
        return float(np.mean((self.backend.logits(crops.X, self.W) > 0) == (crops.y == 1.0)))


def compile_engines(
    engines: Sequence[str], dtype: str, *, n_threads: int | None, clock: Clock
) -> dict[str, float]:
    """Seconds of each engine's first use of every kernel, which compiles it or loads it from a disk cache."""
    kind = np.float32 if dtype == "float32" else np.float64
    return {
        name: clock.once(engine_subject(name, partial(load_backend(name).warm_up, kind), n_threads))
        for name in engines
    }


def train(
    engines: Sequence[str],
    train_crops: Crops,
    test_crops: Crops,
    *,
    rounds: int,
    steps_per_round: int,
    n_threads: int | None,
    clock: Clock,
    advance: Callable[[], object] = lambda: None,
) -> DescentStudy:
    """``rounds`` · ``steps_per_round`` steps of w ← w − α ∇J from zeros, no penalty, on every engine.

    The learning rate is α = 1/L with L the largest curvature of J, found by power iteration on the last
    engine in ``engines``; every engine gets the same number.

    Raises
    ------
    UnequalResultsError
        A cost differs from the first engine's by more than 1e-9 (float32: 1e-4) relative.
    """
    trainees = [_Trainee(name, train_crops, n_threads, clock) for name in engines]
    with trainees[-1].around():
        lipschitz = Objective(trainees[-1].rows, l2=0.0, fit_intercept=True).lipschitz(random_state=0)
    learning_rate = 1.0 / lipschitz
    subjects = [trainee.subject(n_threads, learning_rate, steps_per_round) for trainee in trainees]
    samples = clock.interleaved(subjects, rounds, advance)
    runs = []
    for trainee in trainees:
        name = trainee.backend.name
        with trainee.around():
            final = trainee.rows.loss_grad(trainee.W)[0]
            runs.append(
                EngineRun(
                    engine=name,
                    threads=0 if name == "cupy" else trainee.backend.n_threads(n_threads),
                    transfer_seconds=trainee.transfer_seconds,
                    samples=tuple(seconds / steps_per_round for seconds in samples[name]),
                    costs=np.append(np.concatenate(trainee.costs), final),
                    W=trainee.W,
                    train_accuracy=trainee.accuracy(train_crops),
                    test_accuracy=trainee.accuracy(test_crops),
                )
            )
    dtype = str(train_crops.X.dtype)
    return DescentStudy(
        runs=tuple(runs),
        n_rows=train_crops.X.shape[0],
        n_features=train_crops.X.shape[1],
        dtype=dtype,
        matrix_bytes=train_crops.X.nbytes,
        learning_rate=learning_rate,
        steps=rounds * steps_per_round,
        largest_difference=max((_compare(run, runs[0], RELATIVE[dtype]) for run in runs[1:]), default=0.0),
    )


def _compare(run: EngineRun, first: EngineRun, relative: float) -> float:
    """The largest relative difference of a cost from the first engine's, which is required to be small."""
    differences = np.abs(run.costs - first.costs) / np.abs(first.costs)
    worst = int(np.argmax(differences))
    what = f"the cost of {run.engine!r} before step {worst}"
    require_equal(what, float(run.costs[worst]), float(first.costs[worst]), relative)
    return float(differences[worst])
