"""What is asked of a profile, and all that it measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accel_logreg import LogisticRegression
from accel_logreg.profile.ceilings import Ceilings
from accel_logreg.profile.record import Span


@dataclass(frozen=True)
class Settings:
    """How the problem is solved; the estimator's parameters, and how often."""

    backend: str
    solver: str = "auto"
    C: float = 1.0
    tol: float = 1e-8
    max_iter: int | None = None
    seed: int = 0
    n_threads: int | None = None
    repeats: int = 3

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats={self.repeats} must be at least 1")
        if self.n_threads is not None and self.n_threads < 1:
            raise ValueError(f"n_threads={self.n_threads} must be at least 1; leave it out for all cores")

    def model(self) -> LogisticRegression:
        return LogisticRegression(
            backend=self.backend,
            solver=self.solver,
            C=self.C,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.seed,
            n_threads=self.n_threads,
        )


@dataclass(frozen=True)
class Profile:
    """All that was measured.

    Attributes
    ----------
    machine : dict
        ``Machine.to_dict()``.
    load_average : float
        Of the minute before: how many processes were running or ready to.
    source, n_rows, n_features, dtype, matrix_bytes
        The problem.
    engine, solver, threads
        What ran; threads is 0 for a GPU.
    iterations, cost, gap, gap_kind, reads
        What was reached, and reads of X on the way.
    loading, compiling, first_fit : float
        Seconds, once: importing the engine, its kernels' compiling or loading, the first fit.
    plain : tuple of float
        Seconds of the fits without a clock in the door.
    profiled : tuple of float
        Seconds of those with one.
    chosen : int
        Which of these is shown, the median one.
    ceilings : Ceilings
    clock : str
        What measured: "device events" or "monotonic clock".
    nvtx : str
        What NVTX ranges went through; empty where there is none.
    warnings : tuple of str
        What the estimator warned of.
    spans : tuple of Span
        Everything that was recorded, for the trace.
    """

    machine: dict[str, Any]
    load_average: float
    settings: Settings
    source: str
    n_rows: int
    n_features: int
    dtype: str
    matrix_bytes: int
    engine: str
    solver: str
    threads: int
    iterations: int
    cost: float
    gap: float
    gap_kind: str
    reads: float
    loading: float
    compiling: float
    first_fit: float
    plain: tuple[float, ...]
    profiled: tuple[float, ...]
    chosen: int
    ceilings: Ceilings
    clock: str
    nvtx: str
    warnings: tuple[str, ...]
    spans: tuple[Span, ...]

    def spans_of_fit(self) -> list[Span]:
        """Of the fit that is shown."""
        return [span for span in self.spans if span.part == fit_part(self.chosen)]

    def prediction(self) -> list[Span]:
        """Of the prediction after it."""
        return [span for span in self.spans if span.part == predict_part(self.chosen)]

    @property
    def on_device(self) -> bool:
        return self.clock != "monotonic clock"


def fit_part(index: int) -> str:
    """What the spans of a profiled fit belong to."""
    return f"fit {index}"


def predict_part(index: int) -> str:
    """The same for the prediction after it."""
    return f"predict {index}"
