"""The exact fit of the lesson's task, beside which a thousand steps of gradient descent stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from accel_logreg import LogisticRegression
from accel_logreg.lesson.crops import Crops
from accel_logreg.measure.clock import Clock, Subject

ROUNDS = 3


@dataclass(frozen=True)
class ExactFit:
    """One engine's exact fit with the penalty C; costs are without the penalty, as gradient descent's are."""

    engine: str
    C: float
    samples: tuple[float, ...]  # seconds of a whole fit, after one that is not counted
    gap: float  # a bound on (J − J*)/J*, with the penalty
    reads: float  # how often it went through X
    train_accuracy: float
    test_accuracy: float

    @property
    def seconds(self) -> float:
        return median(self.samples)


def fit_exactly(
    engine: str, train_crops: Crops, test_crops: Crops, *, C: float, n_threads: int | None, clock: Clock
) -> ExactFit:
    """The optimum within 1e-8, by the solver that the estimator takes by itself."""
    model = LogisticRegression(backend=engine, C=C, n_threads=n_threads)
    fit = Subject(engine, partial(model.fit, train_crops.X, train_crops.y))
    clock.once(fit)  # compiles what has to be
    samples = clock.interleaved([fit], ROUNDS)[engine]
    return ExactFit(
        engine=engine,
        C=C,
        samples=samples,
        gap=float(model.gap_),
        reads=float(model.history_["reads"][-1]),
        train_accuracy=float(np.mean(model.predict(train_crops.X) == train_crops.y)),
        test_accuracy=float(np.mean(model.predict(test_crops.X) == test_crops.y)),
    )
