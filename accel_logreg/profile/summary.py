"""Spans added up: what each kind of question, each kernel and each kind of copy took within one fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accel_logreg.measure.clock import median
from accel_logreg.profile.ceilings import Ceilings
from accel_logreg.profile.record import COPIES, KERNELS, PIECES, QUESTIONS, STAGES, Span
from accel_logreg.profile.rows import TAKE_ROWS

FIT = "profiled fit"  # the NVTX range that Nsight Compute is told to look into
PREDICT = "predict"


@dataclass(frozen=True)
class Sum:
    """Calls of the same kind.

    Attributes
    ----------
    name : str
    samples : tuple of float
        Seconds of each call.
    reads : float
        Of X, all rows: a pass over a tenth of them is a tenth.
    bytes, flops : float
        Of all calls; what the formula needs, see profile/work.py.
    percent : float or None
        How near the calls came to the time that the ceilings allow; None where nothing was counted.
    bound : str
        Which ceiling is the lower one here: "memory" or "arithmetic"; empty where nothing was counted.
    arithmetic : str
        The width of the multiplications.
    """

    name: str
    samples: tuple[float, ...]
    reads: float = 0.0
    bytes: float = 0.0
    flops: float = 0.0
    percent: float | None = None
    bound: str = ""
    arithmetic: str = ""

    @property
    def calls(self) -> int:
        return len(self.samples)

    @property
    def total(self) -> float:
        return sum(self.samples)

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.total if self.total else 0.0

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.total if self.total else 0.0


@dataclass(frozen=True)
class Breakdown:
    """Where the time of one fit went; the four parts make the whole.

    checking : from the call of ``fit`` to the engine's taking of the rows
    taking : X, y and weights into the engine's memory
    asking : all questions
    solving : the rest, which is the solver on the host
    """

    fit: float
    checking: float
    taking: float
    asking: float

    @property
    def solving(self) -> float:
        return self.fit - self.checking - self.taking - self.asking


def breakdown(spans: Sequence[Span]) -> Breakdown:
    """Of the spans of one fit."""
    (fit,) = of(spans, STAGES, FIT)
    (taking,) = of(spans, STAGES, TAKE_ROWS)
    asking = sum(span.seconds for span in asked_in_fit(spans))
    return Breakdown(fit.seconds, taking.start - fit.start, taking.seconds, asking)


def of(spans: Sequence[Span], track: str, name: str) -> list[Span]:
    """The spans of one name on one track."""
    return [span for span in spans if span.track == track and span.name == name]


def asked_in_fit(spans: Sequence[Span]) -> list[Span]:
    """Questions with an answer; one that the engine declined took no part."""
    return [span for span in spans if span.track == QUESTIONS and span.details.get("answered", True)]


def questions(spans: Sequence[Span], ceilings: Ceilings) -> tuple[Sum, ...]:
    """A sum for each kind of question, those to samples apart, longest first."""
    return _sums(asked_in_fit(spans), question_name, ceilings)


def question_name(span: Span) -> str:
    """Its kind: one about a sample is another than one about all rows."""
    return f"{span.name}, sampled" if span.details["sampled"] and span.name != "sample" else span.name


def kernels(spans: Sequence[Span]) -> tuple[Sum, ...]:
    """A sum for each kernel, longest first."""
    return _sums([span for span in spans if span.track == KERNELS], lambda span: span.name, None)


def copies(spans: Sequence[Span]) -> tuple[Sum, ...]:
    """A sum for each kind of copies between host and device: each direction, and pinned pieces apart."""
    return _sums([span for span in spans if span.track in (COPIES, PIECES)], lambda span: span.name, None)


def beside_kernels(spans: Sequence[Span]) -> float:
    """Seconds of copies of pinned pieces during which a kernel ran too: what they did not cost."""
    kernels_run = _merged([(span.start, span.end) for span in spans if span.track == KERNELS])
    copied = _merged([(span.start, span.end) for span in spans if span.track == PIECES])
    both, first = 0.0, 0
    for start, end in copied:
        while first < len(kernels_run) and kernels_run[first][1] <= start:
            first += 1
        for begin, stop in kernels_run[first:]:
            if begin >= end:
                break
            both += min(end, stop) - max(start, begin)
    return both


def _merged(stretches: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same stretches of time in order, those that touch as one."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _sums(spans: Sequence[Span], name: Callable[[Span], str], ceilings: Ceilings | None) -> tuple[Sum, ...]:
    groups: dict[str, list[Span]] = {}
    for span in spans:
        groups.setdefault(name(span), []).append(span)
    sums = [_sum(key, group, ceilings) for key, group in groups.items()]
    return tuple(sorted(sums, key=lambda one: -one.total))


def _sum(name: str, spans: Sequence[Span], ceilings: Ceilings | None) -> Sum:
    def total(key: str) -> float:
        return float(sum(span.details.get(key, 0.0) for span in spans))

    samples = tuple(span.seconds for span in spans)
    n_bytes, flops, arithmetic = total("bytes"), total("flops"), spans[0].details.get("arithmetic", "")
    percent, bound = None, ""
    if ceilings is not None and sum(samples) > 0.0 and (n_bytes or flops):
        percent = 100.0 * ceilings.floor_seconds(n_bytes, flops, arithmetic) / sum(samples)
        bound = ceilings.bound(n_bytes, flops, arithmetic)
    return Sum(name, samples, total("reads"), n_bytes, flops, percent, bound, arithmetic)
