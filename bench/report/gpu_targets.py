"""What we set out to reach on a GPU, and what one run reached: from records to lines, met or not.

A row that has no record says so; it is not met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_words, significant
from bench.report.document import Record
from bench.report.table import plain_lines

GIGABYTE = 1e9


Outcome = tuple[str, bool] | None  # what a run reached, and whether that meets the target; None: no record


@dataclass(frozen=True)
class Target:
    """One row of the table."""

    what: str
    aim: str
    judge: Callable[[Sequence[Record]], Outcome]


def gradient(records: Sequence[Record]) -> Outcome:
    """The slowest of the shapes counts. By our kernels' events; the whole question stands beside it."""
    rows = [
        record
        for record in _of(records, "gpu_gradient", "ours")
        if record.dtype == "float32" and record.shape[1] >= 28 and _bytes(record) >= GIGABYTE
    ]
    if not rows:
        return None
    worst = min(rows, key=lambda record: float(record.extra["percent_of_copy"]))
    percent = float(worst.extra["percent_of_copy"])
    whole = 100.0 * _bytes(worst) / worst.median_seconds / worst.extra["device_copy_bytes_per_second"]
    if percent > 100.0:  # reading takes less than a copy
        words = f"as fast as the copy by kernels, {min(whole, 100.0):.1f} % by the whole question"
    else:
        words = f"{percent:.1f} % by kernels, {whole:.1f} % by the whole question"
    return f"{words}, at {_shape(worst)}, the lowest of {len(rows)} shapes", percent >= 90.0


def resident_fit(shape: tuple[int, int], most: float) -> Callable[[Sequence[Record]], Outcome]:
    """The whole call of ``fit``, in seconds at most."""

    def judge(records: Sequence[Record]) -> Outcome:
        for record in _of(records, "gpu_fit", "ours"):
            if record.shape == shape and record.dtype == "float32":
                parts = record.extra.get("seconds_of_parts", {})
                asking = parts.get("questions", 0.0) + parts.get("solver", 0.0)
                beside = f"; profiled, {in_words(asking)} were questions and solver" if parts else ""
                return f"{in_words(record.median_seconds)}{beside}", record.median_seconds <= most
        return None

    return judge


def descent(records: Sequence[Record]) -> Outcome:
    """2000 steps in at most 20 ms."""
    for record in _of(records, "gpu_descent", "ours"):
        if record.dtype == "float32" and record.extra["steps"] == 2000:
            return in_words(record.median_seconds), record.median_seconds <= 20e-3
    return None


def host_fit(records: Sequence[Record]) -> Outcome:
    """The worst of the shapes: the fit's time over the faster way to copy X, timed in the same rounds."""
    worst: tuple[float, Record] | None = None
    fits = [r for r in _of(records, "gpu_host", "fit") if _bytes(r) >= 0.5 * GIGABYTE and r.shape[1] <= 100]
    for fit in fits:
        copies = [
            record.median_seconds
            for record in records
            if record.group == fit.group and record.version.startswith("copy alone")
        ]
        if copies and (worst is None or fit.median_seconds / min(copies) > worst[0]):
            worst = fit.median_seconds / min(copies), fit
    if worst is None:
        return None
    ratio, fit = worst
    return f"{ratio:.2f} × the copy alone, {in_words(fit.median_seconds)} at {_shape(fit)}", ratio <= 1.3


def step_speed_up(records: Sequence[Record]) -> Outcome:
    """Seconds a step of the Python loop, over those of the GPU's one launch; float64, as in the demo."""
    in_float64 = [r for r in records if r.suite == "gpu_descent" and r.dtype == "float64"]
    loops = [record for record in in_float64 if record.engine == "python"]
    ours = [record for record in in_float64 if record.version == "ours"]
    if not loops or not ours:
        return None
    loop, gpu = (record.median_seconds / record.extra["steps"] for record in (loops[0], ours[0]))
    words = f"{loop / gpu:,.0f} × the loop's pace on {ours[0].problem}: {in_words(loop)} and {in_words(gpu)}"
    return words, loop / gpu >= 1e4


TARGETS = (
    Target("gradient, d ≥ 28, X ≥ 1 GB, float32", "≥ 90 % of the copy bandwidth", gradient),
    Target("fit 1e7×50 float32 resident, tol 1e-8", "≤ 6 ms", resident_fit((10_000_000, 50), 6e-3)),
    Target("fit 1e6×28 float32 resident", "≤ 1.5 ms", resident_fit((1_000_000, 28), 1.5e-3)),
    Target("2000 descent steps, 209×12288 float32", "≤ 20 ms", descent),
    Target("fit from host memory, X ≥ 0.5 GB, d ≤ 100", "≤ 1.3 × the copy alone", host_fit),
    Target("one descent step beside the Python loop, crops of the demo", "≥ 10,000 ×", step_speed_up),
)


def text(records: Sequence[Record]) -> str:
    """The table."""
    rows = []
    for target in TARGETS:
        reached, met = target.judge(records) or ("not measured in this run", False)
        rows.append((target.what, target.aim, reached, "met" if met else "not met"))
    return "\n".join(plain_lines(Table("Targets on a GPU", ("", "aim", "reached", ""), tuple(rows))))


def _of(records: Sequence[Record], suite: str, version: str) -> list[Record]:
    return [record for record in records if record.suite == suite and record.version == version]


def _bytes(record: Record) -> float:
    """Of X."""
    return float(record.shape[0] * record.shape[1] * (4 if record.dtype == "float32" else 8))


def _shape(record: Record) -> str:
    n, d = record.shape
    return f"{significant(n)}×{d}"
