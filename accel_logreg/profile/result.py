"""What is asked of a profile, all that it measured, and its spans added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from accel_logreg import LogisticRegression
from accel_logreg.profile.ceilings import Ceilings
from accel_logreg.profile.record import COPIES, FIT, KERNELS, PIECES, QUESTIONS, STAGES, TAKE_ROWS, Span


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
        parameters = asdict(self)
        del parameters["repeats"]
        return LogisticRegression(random_state=parameters.pop("seed"), **parameters)


@dataclass(frozen=True)
class Profile:
    """All that was measured; times in seconds."""

    machine: dict[str, Any]  # Machine.to_dict()
    load_average: float  # of the minute before: how many processes were running or ready to
    settings: Settings
    # The problem.
    source: str
    n_rows: int
    n_features: int
    dtype: str
    matrix_bytes: int
    # What ran, what was reached, and reads of X on the way.
    engine: str
    solver: str
    threads: int  # 0 for a GPU
    iterations: int
    cost: float
    gap: float
    gap_kind: str
    reads: float
    # Once: importing the engine, its kernels' compiling or loading, the first fit.
    loading: float
    compiling: float
    first_fit: float
    plain: tuple[float, ...]  # of the fits without a clock in the interface
    profiled: tuple[float, ...]  # of those with one
    chosen: int  # which of these is shown, the median one
    ceilings: Ceilings
    clock: str  # what measured: "device events" or "monotonic clock"
    nvtx: str  # what NVTX ranges went through; empty where there is none
    warnings: tuple[str, ...]  # of the estimator
    spans: tuple[Span, ...]  # everything that was recorded, for the trace

    def spans_of_fit(self) -> list[Span]:
        """Of the fit that is shown."""
        return [span for span in self.spans if span.part == f"fit {self.chosen}"]

    def prediction(self) -> list[Span]:
        """Of the prediction after it."""
        return [span for span in self.spans if span.part == f"predict {self.chosen}"]

    @property
    def on_device(self) -> bool:
        return self.clock != "monotonic clock"


@dataclass(frozen=True)
class Sum:
    """Calls of the same kind."""

    name: str
    samples: tuple[float, ...]  # seconds of each call
    reads: float  # of X, all rows: a pass over a tenth of them is a tenth
    bytes: float  # of all calls, as the flops; what the formula needs, see profile/rows.py
    flops: float
    percent: float | None  # of the time the ceilings allow in the time taken; None if nothing was counted
    bound: str  # by the lower ceiling, "memory" or "arithmetic"; empty where nothing was counted
    arithmetic: str  # the width of the multiplications
    calls: int
    total: float  # seconds, as the median
    median: float
    bytes_per_second: float
    flops_per_second: float


@dataclass(frozen=True)
class Breakdown:
    """Where the seconds of one fit went; the four parts make the whole."""

    fit: float
    checking: float  # from the call of ``fit`` to the engine's taking of the rows
    taking: float  # X, y and weights into the engine's memory
    asking: float  # all questions
    solving: float  # the rest, which is the solver on the host


def breakdown(spans: Sequence[Span]) -> Breakdown:
    """Of the spans of one fit."""
    (fit,) = of(spans, STAGES, FIT)
    (taking,) = of(spans, STAGES, TAKE_ROWS)
    asking = sum(span.seconds for span in asked_in_fit(spans))
    checking = taking.start - fit.start
    rest = fit.seconds - checking - taking.seconds - asking
    return Breakdown(fit.seconds, checking, taking.seconds, asking, rest)


def on(spans: Sequence[Span], *tracks: str) -> list[Span]:
    """The spans on these tracks."""
    return [span for span in spans if span.track in tracks]


def of(spans: Sequence[Span], track: str, name: str) -> list[Span]:
    """The spans of one name on one track."""
    return [span for span in on(spans, track) if span.name == name]


def asked_in_fit(spans: Sequence[Span]) -> list[Span]:
    """Questions with an answer; one that the engine declined took no part."""
    return [span for span in on(spans, QUESTIONS) if span.details.get("answered", True)]


def questions(spans: Sequence[Span], ceilings: Ceilings) -> list[Sum]:
    """A sum for each kind of question, those to samples apart, longest first."""
    return _sums(asked_in_fit(spans), ceilings)


def kernels(spans: Sequence[Span]) -> list[Sum]:
    """A sum for each kernel, longest first."""
    return _sums(on(spans, KERNELS))


def copies(spans: Sequence[Span]) -> list[Sum]:
    """A sum for each kind of copies between host and device: each direction, and pinned pieces apart."""
    return _sums(on(spans, COPIES, PIECES))


def beside_kernels(spans: Sequence[Span]) -> float:
    """Seconds of copies of pinned pieces during which a kernel ran too: what they did not cost."""
    kernels_run = _merged(on(spans, KERNELS))
    if not kernels_run:
        return 0.0
    edges = np.ravel(kernels_run)
    busy = np.append(0.0, np.cumsum(np.diff(edges) * (np.arange(len(edges) - 1) % 2 == 0)))

    def until(time: float) -> float:
        """Seconds of kernels before a time."""
        return float(np.interp(time, edges, busy))

    copied = _merged(on(spans, PIECES))
    return sum(until(end) - until(start) for start, end in copied)


def _merged(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """Start and end of stretches of time in order; spans that touch are in one."""
    merged: list[tuple[float, float]] = []
    for span in sorted(spans, key=lambda span: span.start):
        if merged and span.start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], span.end)
        else:
            merged.append((span.start, span.end))
    return merged


def _sums(spans: Sequence[Span], ceilings: Ceilings | None = None) -> list[Sum]:
    groups: dict[str, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.kind, []).append(span)
    sums = [_sum(kind, group, ceilings) for kind, group in groups.items()]
    return sorted(sums, key=lambda one: -one.total)


def _sum(name: str, spans: Sequence[Span], ceilings: Ceilings | None) -> Sum:
    seconds = tuple(span.seconds for span in spans)
    total = sum(seconds)
    reads, n_bytes, flops = (
        float(sum(span.details.get(key, 0.0) for span in spans)) for key in ("reads", "bytes", "flops")
    )
    arithmetic = spans[0].details.get("arithmetic", "")
    percent, bound = None, ""
    if ceilings is not None and total > 0.0 and (n_bytes or flops):
        percent = 100.0 * ceilings.floor_seconds(n_bytes, flops, arithmetic) / total
        bound = ceilings.bound(n_bytes, flops, arithmetic)
    return Sum(
        name, seconds, reads, n_bytes, flops, percent, bound, arithmetic, len(seconds), total,
        median(seconds), n_bytes / total if total else 0.0, flops / total if total else 0.0,
    )  # fmt: skip
