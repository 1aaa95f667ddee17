"""From two names of revisions to a comparison: export, environments, rounds, documents, verdicts."""

from __future__ import annotations

import math
import signal
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from accel_logreg.measure import machine
from accel_logreg.measure.intervals import median_interval
from bench.compare import revisions, significance
from bench.compare.comparison import LEVEL, Comparison, Selection, Thresholds, compare, unsettled
from bench.compare.revisions import Checkout, RevisionError, Side, Worker
from bench.compare.rounds import EFFORT, Conductor, Outcome, Plan
from bench.compare.worker import SEED, Task, tasks
from bench.report.document import BenchDocument, Record, by_reason

SUITE = "compare"
_HEAVY = 0.5  # processes a core, before we start, above which results will be noisy


@dataclass(frozen=True)
class Question:
    """What to measure of two revisions.

    threads : of the engines; None is all cores
    shapes : rows and features to measure gradient and fit on, instead of the usual set
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    select: Selection = field(default_factory=Selection)
    plan: Plan = field(default_factory=Plan)
    threads: int | None = None
    shapes: tuple[tuple[int, int], ...] = ()

    def tasks(self) -> list[Task]:
        """The chosen benchmarks.

        Raises
        ------
        ValueError
            None is chosen, or there are too few rounds to conclude anything of so many.
        """
        offered = tasks([list(shape) for shape in self.shapes])
        chosen = [task for task in offered if task.name in self.select]
        if not chosen:
            names = ", ".join(task.name for task in offered)
            raise ValueError(f"-k {self.select.pattern!r} names none of the benchmarks: {names}")
        needed = math.ceil(significance.rounds_needed(len(chosen), LEVEL) / EFFORT)
        if self.plan.rounds < needed:
            raise ValueError(
                f"--rounds {self.plan.rounds} can show nothing of {len(chosen)} benchmarks at once: at least "
                f"{needed}, or choose fewer with -k"
            )
        return chosen


@dataclass(frozen=True)
class Study:
    """What was found.

    a, b : both sides as benchmark documents
    remarks : sentences on how it was measured
    """

    a: BenchDocument
    b: BenchDocument
    comparison: Comparison
    remarks: tuple[str, ...]


def compare_revisions(
    checkout: Checkout,
    base: str,
    head: str,
    question: Question,
    *,
    install: bool | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Study:
    """Measure two revisions in turns. Nothing in the checkout is changed; temporary folders go in any case.

    Parameters
    ----------
    base, head : str
        Revisions as git names them; WORKTREE or "." is the uncommitted tree.
    install : bool or None
        Install each into an environment of its own; None does so if they need different packages.

    Raises
    ------
    RevisionError
        A revision is unknown, holds no package, cannot be installed or measured.
    """
    question.tasks()  # before anything is exported
    named = [checkout.revision(name) for name in (base, head)]
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="accel-logreg-compare-") as folder:
        report(f"exporting {named[0].label} and {named[1].label}")
        trees = [checkout.export(one, Path(folder) / place) for one, place in zip(named, "ab", strict=True)]
        differ = revisions.other_needs(*trees)
        apart = bool(differ) if install is None else install
        how = "each in an environment of its own" if apart else "both with this interpreter and its packages"
        why = differ or "they need the same packages"
        report(f"{how}: {why}" if install is None else f"{how}, as asked ({why})")
        make = revisions.installed if apart else revisions.uninstalled
        a, b = (make(one.label, tree) for one, tree in zip(named, trees, strict=True))
        study = compare_sides(a, b, question, report=report)
    return replace(study, remarks=(f"{how[0].upper()}{how[1:]}: {why}.", *study.remarks))


def compare_sides(
    a: Side, b: Side, question: Question, *, report: Callable[[str], None] = lambda _: None
) -> Study:
    """Measure two trees that are ready."""
    return conclude(conductor(a, b, question, report).run(question.tasks()), (a.label, b.label), question)


def conductor(a: Side, b: Side, question: Question, report: Callable[[str], None]) -> Conductor:
    """What measures these two."""
    return Conductor(
        start=lambda side: Worker((a, b)[side], question.threads, question.shapes),
        unsettled=lambda first, second: unsettled(first, second, question.thresholds),
        plan=question.plan,
        report=report,
    )


def conclude(outcome: Outcome, labels: tuple[str, str], question: Question) -> Study:
    """The documents and verdicts of what was measured.

    Raises
    ------
    RevisionError
        Nothing is left that both sides did right.
    """
    described = machine.describe().to_dict()
    first, second = (_document(side, labels[side], outcome, question.plan, described) for side in (0, 1))
    wrong: dict[str, str] = {}
    for label, troubles in zip(labels, outcome.wrong, strict=True):
        for name, why in troubles.items():
            wrong[name] = f"{wrong[name]}; {label}: {why}" if name in wrong else f"{label}: {why}"
    if not outcome.taken:
        raise RevisionError(
            "no benchmark was measured on both sides; "
            + ("; ".join(f"{name}: {why}" for name, why in wrong.items()) or "none ran to its end")
        )
    found = compare(first, second, question.thresholds, paired=True)
    missing = outcome.unavailable
    remarks = []
    if outcome.load_average > _HEAVY * machine.usable_cores():
        remarks.append(
            f"The machine was busy before this began (load average {outcome.load_average:.1f} on "
            f"{machine.usable_cores()} cores): it will take larger differences to be seen."
        )
    skipped = {name: why for name, why in missing[0].items() if name in missing[1]}
    remarks += [f"Not measured: {', '.join(names)}: {why}" for why, names in by_reason(skipped).items()]
    found = replace(
        found,
        only_a=tuple(name for name in missing[1] if name not in skipped),
        only_b=tuple(name for name in missing[0] if name not in skipped),
        wrong=wrong,
    )
    return Study(first, second, found, tuple(remarks))


def _document(
    side: int, label: str, outcome: Outcome, plan: Plan, described: dict[str, object]
) -> BenchDocument:
    records = []
    for name, taken in outcome.taken.items():
        seconds, task = tuple(taken.seconds[side]), taken.task
        interval = median_interval(seconds)
        records.append(
            Record(
                name=name,
                suite=SUITE,
                group=task.group,
                engine=task.engine,
                version="",
                problem=task.problem,
                shape=(task.rows, task.features),
                dtype=task.dtype,
                threads=taken.threads[side],
                seed=SEED,
                seconds=seconds,
                median_seconds=interval.value,
                interval=(interval.low, interval.high),
                interleaved=True,
                first_seconds=taken.first_seconds[side],
                suboptimality=taken.suboptimality[side],
            )
        )
    spreads = [statistics.pstdev(record.seconds) / record.median_seconds for record in records]
    return BenchDocument(
        command="python -m bench.compare --revisions",
        mode=f"{plan.rounds} rounds",
        revision=label,
        machine=described,
        ceilings={},
        noise={
            "relative": statistics.median(spreads or [0.0]),
            "load_average": outcome.load_average,
            "warning": "",
        },
        records=tuple(records),
        skipped=dict(outcome.unavailable[side]),
    )


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP as Ctrl-C, so that temporary folders and processes go then too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
