"""``accel-logreg speedup``: the lesson's claim, measured on every engine that can run on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from accel_logreg.backends import BACKENDS, backend_status, load_backend
from accel_logreg.files.atomic import publish
from accel_logreg.kernels.numpy_vectorised.dense import sigmoid
from accel_logreg.lesson import findings, pictures, plots, report
from accel_logreg.lesson.crops import Crops, make_crops
from accel_logreg.lesson.descent import DescentStudy, compile_engines, train
from accel_logreg.lesson.dot import measure_dot
from accel_logreg.lesson.dot_study import DotStudy
from accel_logreg.lesson.results import Results, absent, headlines, task_in_words
from accel_logreg.lesson.study_size import FULL, QUICK, StudySize
from accel_logreg.measure import machine
from accel_logreg.measure.clock import Clock
from accel_logreg.measure.table import say, show

LOOP = "python"


def run_speedup(
    *,
    output: Path,
    engines: list[str] | None,
    sizes: list[int] | None,
    dtype: str,
    quick: bool,
    n_threads: int | None,
) -> Path:
    """Measure, print, and write report.html, results.json and the pictures; return the page's path.

    Parameters
    ----------
    output : Path
        Folder, made if need be. Its files appear when all is done; a run that fails writes none.
    engines : list of str, or None
        None means all that can run here.
    sizes : list of int, or None
        Lengths of the vectors of the dot product; None means 100 to 10,000,000 by factors of ten.
    dtype : {"float64", "float32"}
        Of the crops. The dot product is always float64, which is what a Python float is.
    quick : bool
        Fewer rows, steps and rounds: tens of seconds instead of minutes.
    n_threads : int or None
        Limit of every engine's threads; None means each engine's own default.

    Raises
    ------
    ValueError
        An unknown engine, no engine, a size below 1, an unknown dtype, n_threads below 1.
    BackendUnavailableError
        A named engine cannot run here.
    OSError
        ``output`` cannot be written.
    UnequalResultsError
        Two engines gave different answers.
    """
    size = QUICK if quick else FULL
    if sizes is not None:
        size = replace(size, dot_sizes=tuple(sizes))
    return run_study(size, output=output, engines=engines, dtype=dtype, n_threads=n_threads)


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
    """``run_speedup`` with any size, console and clock."""
    console = Console() if console is None else console
    clock = Clock() if clock is None else clock
    _check(output, n_threads)
    load_average = os.getloadavg()[0]
    status = backend_status()
    names = _choose(engines, [name for name, error in status.items() if error is None])
    train_crops, test_crops = make_crops(size.n_train, size.n_test, dtype=dtype, random_state=0)
    console.rule(f"accel_logreg speed-up study, {size.name}")
    show(console, findings.engine_table(status, names))
    task = task_in_words(size.n_train, size.n_test, train_crops.X.shape[1], dtype)
    say(console, task)
    with console.status("compiling kernels, measuring the memory"):
        compile_seconds = compile_engines(names, dtype, n_threads=n_threads, clock=clock)
        bandwidth = machine.read_bandwidth(n_threads, megabytes=size.bandwidth_megabytes)
    dot, like, full = _measure(size, names, train_crops, test_crops, n_threads, console, clock)
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
    )
    for table in report.tables(results).values():
        show(console, table)
    for sentence in headlines(results):
        say(console, f"→ {sentence}")
    images = _draw(results, train_crops, test_crops)
    contents = {f"{name}.svg": svg for name, svg in images.items()}
    contents[report.RESULTS] = report.to_json(results).encode()
    contents[report.PAGE] = report.to_html(results, images).encode()
    publish(output, contents, report.PAGE)
    page = output / report.PAGE
    say(console, f"Report: {page}")
    say(console, f"Figures: {output / report.RESULTS} and {len(images)} pictures beside it")
    return page


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
    if not engines:
        raise ValueError(
            f"engines=[] leaves nothing to measure; name some of {', '.join(map(repr, BACKENDS))}"
        )
    for name in engines:
        if name not in BACKENDS:
            raise ValueError(f"engine {name!r} is unknown; allowed: {', '.join(map(repr, BACKENDS))}")
        load_backend(name)  # raises, and says why, where it cannot run
    return [name for name in BACKENDS if name in engines]


def _measure(
    size: StudySize,
    names: list[str],
    train_crops: Crops,
    test_crops: Crops,
    n_threads: int | None,
    console: Console,
    clock: Clock,
) -> tuple[DotStudy, DescentStudy, DescentStudy | None]:
    fast = [name for name in names if name != LOOP]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:

        def bar(title: str, total: int) -> Callable[[], None]:
            return partial(progress.advance, progress.add_task(title, total=total))

        dot = measure_dot(
            names,
            size.dot_sizes,
            n_threads=n_threads,
            repeats=size.dot_rounds,
            call_limit=size.call_limit,
            clock=clock,
            advance=bar("dot product, lengths", len(set(size.dot_sizes))),
        )
        few = Crops(
            train_crops.X[: size.loop_rows],
            train_crops.y[: size.loop_rows],
            train_crops.boxes[: size.loop_rows],
        )
        like = train(
            names,
            few,
            test_crops,
            rounds=size.loop_rounds,
            steps_per_round=size.loop_steps,
            n_threads=n_threads,
            clock=clock,
            advance=bar(f"gradient descent, {size.loop_rows:,} rows", size.loop_rounds * len(names)),
        )
        if not fast:
            return dot, like, None
        full = train(
            fast,
            train_crops,
            test_crops,
            rounds=size.rounds,
            steps_per_round=size.steps_per_round,
            n_threads=n_threads,
            clock=clock,
            advance=bar(f"gradient descent, {size.n_train:,} rows", size.rounds * len(fast)),
        )
    return dot, like, full


def _draw(results: Results, train_crops: Crops, test_crops: Crops) -> dict[str, bytes]:
    """File stem → SVG."""
    studies = [(f"{results.like.n_rows:,} rows, all engines", results.like)]
    if results.full is not None:
        studies.append((f"{results.full.n_rows:,} rows, fast engines", results.full))
    run = results.trained.runs[-1]
    probabilities = sigmoid(load_backend(run.engine).logits(test_crops.X, run.W))
    return {
        "dot_time": plots.dot_time(results.dot),
        "dot_speed_up": plots.dot_speed_up(results.dot),
        "dot_staircase": plots.dot_staircase(results.dot, absent(results)),
        "step_time": plots.step_time(studies),
        "cost_curves": plots.cost_curves(studies),
        "regions": pictures.regions(),
        "train_crops": pictures.train_samples(train_crops),
        "predictions": pictures.predictions(test_crops, probabilities),
        "weights": pictures.weights(run.W, results.trained.steps),
    }
