"""``accel-logreg speedup``: the lesson's claim, measured on every engine that can run on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from accel_logreg.backends import BACKENDS, backend_status, load_backend
from accel_logreg.files.atomic import publish
from accel_logreg.lesson import pictures, report
from accel_logreg.lesson.crops import make_crops
from accel_logreg.lesson.descent import DescentStudy, compile_engines, train
from accel_logreg.lesson.dot import LESSON_SIZE, measure_dot
from accel_logreg.lesson.exact import fit_exactly
from accel_logreg.lesson.report import Results
from accel_logreg.measure import machine
from accel_logreg.measure.clock import Clock
from accel_logreg.measure.table import say, show


@dataclass(frozen=True)
class StudySize:
    """How much is measured."""

    name: str
    n_train: int  # crops
    n_test: int
    loop_rows: int  # how many of the training crops all engines, the loop included, share
    rounds: int  # of the training on all rows
    steps_per_round: int
    loop_rounds: int  # the same on the loop's rows
    loop_steps: int
    dot_sizes: tuple[int, ...]  # lengths of the vectors of the dot product; the lesson's comes with them
    dot_rounds: int
    call_limit: float  # seconds; a version of the dot product stops before one call would take longer
    bandwidth_megabytes: int  # how much is read to find the memory's bandwidth
    exact_penalties: tuple[float, ...] = (0.001, 1.0)  # C of each exact fit

    def __post_init__(self) -> None:
        if not self.dot_sizes or min(self.dot_sizes) < 1:
            raise ValueError(f"sizes={list(self.dot_sizes)} must be vector lengths from 1 up, at least one")


DECADES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
# The lesson's training set has 209 pictures; so has the loop here.
FULL = StudySize("full", 2000, 600, 209, 10, 100, 5, 4, DECADES, 7, 2.0, 512)
# Five rounds: the fewest with an interval.
QUICK = StudySize("quick", 800, 300, 48, 5, 60, 3, 3, DECADES, 5, 0.3, 256)


def run_study(
    size: StudySize,
    *,
    output: Path,
    engines: Sequence[str] | None,
    dtype: str,
    n_threads: int | None,
    console: Console | None = None,
    clock: Clock | None = None,
) -> Path:
    """Measure, print, and write report.html, results.json and the pictures; return the page's path.

    Parameters
    ----------
    size : StudySize
        How much is measured: FULL, QUICK, or one of these with something replaced.
    output : Path
        Folder, made if need be. Its files appear when all is done; a run that fails writes none.
    engines : sequence of str, or None
        None means all that can run here.
    dtype : {"float64", "float32"}
        Of the crops. The dot product is always float64, which is what a Python float is.
    n_threads : int or None
        Limit of every engine's threads; None means each engine's own default.

    Raises
    ------
    ValueError
        An unknown engine, no engine, an unknown dtype, n_threads below 1.
    BackendUnavailableError
        A named engine cannot run here.
    OSError
        ``output`` cannot be written.
    UnequalResultsError
        Two engines gave different answers.
    """
    console = Console() if console is None else console
    clock = Clock() if clock is None else clock
    _check(output, n_threads)
    load_average = os.getloadavg()[0]
    status = backend_status()
    names = _choose(engines, [name for name, error in status.items() if error is None])
    train_crops, test_crops = make_crops(size.n_train, size.n_test, dtype=dtype, random_state=0)
    console.rule(f"accel_logreg speed-up study, {size.name}")
    show(console, report.engine_table(status, names))
    task = report.task_in_words(size.n_train, size.n_test, train_crops.X.shape[1], dtype)
    say(console, task)
    with console.status("compiling kernels, measuring the memory"):
        compile_seconds = compile_engines(names, dtype, n_threads=n_threads, clock=clock)
        bandwidth = machine.read_bandwidth(n_threads, megabytes=size.bandwidth_megabytes)
    fast = [name for name in names if name != "python"]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:

        def bar(title: str, total: int) -> Callable[[], None]:
            return partial(progress.advance, progress.add_task(title, total=total))

        def descend(engines: list[str], rows: int, rounds: int, steps: int) -> DescentStudy:
            return train(
                engines,
                train_crops.first(rows),
                test_crops,
                rounds=rounds,
                steps_per_round=steps,
                n_threads=n_threads,
                clock=clock,
                advance=bar(f"gradient descent, {rows:,} pictures", rounds * len(engines)),
            )

        sizes = sorted({*size.dot_sizes, LESSON_SIZE})
        dot = measure_dot(
            names,
            sizes,
            n_threads=n_threads,
            repeats=size.dot_rounds,
            call_limit=size.call_limit,
            clock=clock,
            advance=bar("dot product, lengths", len(sizes)),
        )
        like = descend(names, size.loop_rows, size.loop_rounds, size.loop_steps)
        full = descend(fast, size.n_train, size.rounds, size.steps_per_round) if fast else None
        fitted = bar("exact fits", len(size.exact_penalties)) if fast else lambda: None
        exact = []
        for C in size.exact_penalties if fast else ():
            exact.append(
                fit_exactly(fast[-1], train_crops, test_crops, C=C, n_threads=n_threads, clock=clock)
            )
            fitted()
    results = Results(
        study=size.name,
        n_threads=n_threads,
        machine=machine.describe().to_dict(),
        load_average=load_average,
        read_bandwidth=bandwidth,
        status=status,
        compile_seconds=compile_seconds,
        n_test=size.n_test,
        dot=dot,
        like=like,
        full=full,
        exact=tuple(exact),
    )
    for table in report.tables(results).values():
        show(console, table)
    for sentence in report.headlines(results):
        say(console, f"→ {sentence}")
    images = pictures.draw(results, train_crops, test_crops)
    contents = {f"{name}.svg": svg for name, svg in images.items()}
    contents[report.RESULTS] = report.to_json(results).encode()
    contents[report.PAGE] = report.to_html(results, images, _tutorial(output)).encode()
    publish(output, contents, report.PAGE)
    page = output / report.PAGE
    say(console, f"Report: {page}")
    say(console, f"Figures: {output / report.RESULTS} and {len(images)} pictures beside it")
    return page


def _tutorial(output: Path) -> str:
    """From the report to the page that derives the formulas: of the site, or else of docs/; "" in a wheel."""
    root = Path(__file__).parents[2]
    pages = (root / "site" / "from_loop_to_gpu.html", root / "docs" / "from_loop_to_gpu.md")
    return next((os.path.relpath(page, output) for page in pages if page.is_file()), "")


def _check(output: Path, n_threads: int | None) -> None:
    """What can be known to fail is refused before minutes of measuring, not after them."""
    if n_threads is not None and n_threads < 1:
        raise ValueError(
            f"n_threads={n_threads} must be at least 1; leave it out for the engine's own default"
        )
    nearest = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(f"output={str(output)!r}: {nearest} is a file; name a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"output={str(output)!r}: {nearest} cannot be written; name another folder")


def _choose(engines: Sequence[str] | None, available: list[str]) -> list[str]:
    """The engines to measure, slowest first; the loop leads, because speed-ups are over the first."""
    if engines is None:
        return available
    allowed = ", ".join(map(repr, BACKENDS))
    if not engines:
        raise ValueError(f"engines=[] leaves nothing to measure; name some of {allowed}")
    for name in engines:
        if name not in BACKENDS:
            raise ValueError(f"engine {name!r} is unknown; allowed: {allowed}")
        load_backend(name)  # raises, and says why, where it cannot run
    return [name for name in BACKENDS if name in engines]
