"""What the speed-up study found, as tables."""

from __future__ import annotations

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.lesson.descent import DescentStudy, EngineRun
from accel_logreg.lesson.dot_study import (
    ARRAY_LOOP,
    LESSON_SECONDS,
    LESSON_SIZE,
    LIST_INDEX_LOOP,
    LIST_LOOP,
    NUMPY,
    DotStudy,
)
from accel_logreg.lesson.results import Results
from accel_logreg.lesson.speedups import factor
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_words, significant


def engine_table(status: dict[str, BackendUnavailableError | None], measured: list[str]) -> Table:
    rows = []
    for name, error in status.items():
        remark = "measured" if name in measured else "not asked for"
        rows.append(
            (name, "yes", remark) if error is None else (name, "no", f"{error.reason} {error.remedy}")
        )
    return Table("Engines on this machine", ("engine", "runs here", "remark"), tuple(rows))


def like_table(results: Results) -> Table:
    return _descent_table(results, results.like, "Like with like, every engine")


def full_table(results: Results) -> Table | None:
    if results.full is None:
        return None
    # The loop would need minutes here; its time is left out, not computed from fewer rows.
    return _descent_table(results, results.full, "All rows, without the loop")


def phase_table(results: Results) -> Table:
    """What happens once, and the spread of what happens every step."""
    studies = [results.like] if results.full is None else [results.like, results.full]
    columns = ["engine", "first use of all kernels"]
    for study in studies:
        columns += [f"taking in {study.n_rows:,} rows", f"one step, {study.n_rows:,} rows, all rounds"]
    rows = []
    for engine, seconds in results.compile_seconds.items():
        cells = [engine, in_words(seconds)]
        for study in studies:
            runs = [run for run in study.runs if run.engine == engine]
            cells += [text for run in runs for text in (in_words(run.transfer_seconds), _range(run))] or [
                "not run"
            ] * 2
        rows.append(tuple(cells))
    note = (
        "First use compiles the kernels or loads them from a disk cache; taking in moves X and y to the "
        "engine's memory, or does nothing where the engine reads them in place. Neither is part of a step."
    )
    return Table("What happens once, and how steps vary", tuple(columns), tuple(rows), (note,))


def dot_table(study: DotStudy) -> Table:
    sizes = study.sizes()
    rows = []
    for version in study.versions():
        seconds = study.seconds(version)
        cells = (in_words(seconds[size]) if size in seconds else "not run" for size in sizes)
        rows.append((version, *cells))
    loop, call = in_words(LESSON_SECONDS["loop"]), in_words(LESSON_SECONDS[NUMPY])
    notes = [
        "Median time of one call by length of the vectors, float64.",
        f"{ARRAY_LOOP}: the lesson's total += a[i] * b[i] over NumPy arrays. {LIST_INDEX_LOOP}: over lists.",
        f"{LIST_LOOP}: for x, y in zip(a, b), over lists. {NUMPY}: BLAS, with the threads it is allowed.",
        "Every answer agreed with the correctly rounded sum to 1e-9 relative before it was timed.",
        f"The lesson's own figures for {LESSON_SIZE:,} numbers: {loop} for the loop, {call} for {NUMPY}.",
        *(f"{version} {reason}." for version, reason in study.stopped.items()),
    ]
    return Table("Dot product", ("version", *(f"{size:,}" for size in sizes)), tuple(rows), tuple(notes))


def dot_speed_up_table(study: DotStudy) -> Table:
    """Times faster than the baseline at every length where both ran, with the interval."""
    ways = study.timed()
    base = ways[0]
    sizes = sorted(base.samples)
    rows = []
    for way in ways[1:]:
        ratios = way.over(base)
        rows.append((way.name, *(factor(ratios[size]) if size in ratios else "not run" for size in sizes)))
    note = (
        f"Times faster than the {base.name}, by length of the vectors; in brackets the 95 % bootstrap "
        "interval of the ratio of medians, over rounds drawn for both alike."
    )
    return Table(
        f"Dot product: speed-up over the {base.name}",
        ("version", *map("{:,}".format, sizes)),
        tuple(rows),
        (note,),
    )


def dot_order_table(study: DotStudy) -> Table:
    """Speed-up, first call, transfer and crossover points."""
    smallest, headline = study.sizes()[0], study.headline_size()
    versions = study.versions()
    rivals = [rival for rival in (LIST_LOOP, NUMPY) if rival in versions]
    base = study.seconds(study.baseline())[headline]
    rows = []
    for version in versions:
        points = {point.size: point for point in study.points if point.version == version}
        transfer = points[headline].transfer_seconds if headline in points else None
        rows.append(
            (
                version,
                f"{significant(base / points[headline].seconds)}×" if headline in points else "not run",
                in_words(points[smallest].first_seconds),
                "none" if transfer is None else in_words(transfer),
                *("itself" if version == rival else study.crossover(version, rival) for rival in rivals),
            )
        )
    columns = (
        "version",
        f"speed-up, {headline:,}",
        f"first call, {smallest:,}",
        f"transfer, {headline:,}",
        *(f"against {rival}" for rival in rivals),
    )
    note = (
        f"Speed-up is over the {study.baseline()}. A first call also compiles or loads what it needs. "
        "The order changes between the two measured lengths named; medians within 10% count as equal."
    )
    return Table("Dot product: who wins where", columns, tuple(rows), (note,))


def _descent_table(results: Results, study: DescentStudy, title: str) -> Table:
    first = study.runs[0].engine
    rows = tuple(
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
    )
    notes = [
        f"Cost and accuracies are those after {study.steps:,} steps from zeros.",
        f"Learning rate: 1/L = {study.learning_rate:.3g}, L the largest curvature of the cost.",
        f"One step: the median of {len(study.runs[0].samples)} interleaved rounds.",
        f"X GB/s: the {study.matrix_bytes / 1e6:,.1f} MB of X divided by the time of one step.",
        f"Read bandwidth of the memory, measured here: {results.read_bandwidth / 1e9:.1f} GB/s.",
    ]
    cache = max(results.machine["cache_bytes"].values(), default=0)
    if study.matrix_bytes < cache:
        notes.append(
            f"X fits into the last-level cache ({cache / 1e6:,.1f} MB), which can be faster than that."
        )
    if len(study.runs) > 1:
        notes.append(f"Costs of all steps: within {study.largest_difference:.1e} of {first}'s, relative.")
    columns = (
        "engine",
        "dtype",
        "threads",
        "one step",
        "speed-up",
        "X GB/s",
        "cost",
        "train acc.",
        "test acc.",
    )
    return Table(f"{title}: {study.n_rows:,} rows, speed-up over {first}", columns, rows, tuple(notes))


def _range(run: EngineRun) -> str:
    return f"{in_words(min(run.samples))} to {in_words(max(run.samples))}"
