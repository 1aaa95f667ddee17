"""What the blocks of the tutorial call: sizes, times taken in turns, and tables of them.

In a notebook a block works at full size and prints its table. In a run of the whole page
the tables are kept as well, under the names that the page's markers have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from statistics import median

from accel_logreg.measure.clock import Clock, Subject
from accel_logreg.measure.words import in_words, significant

ROUNDS = 7
_SAMPLE_SECONDS = 5e-3  # calls are repeated until a sample takes so long
_LONG_SECONDS = 0.05  # a call that needs no settling before it


@dataclass
class Run:
    """One run of the page: whether sizes are small and every time a single call, and the tables so far."""

    quick: bool = False
    shown: dict[str, str] = field(default_factory=dict)


_run: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def running(quick: bool) -> Iterator[Run]:
    """Until the block ends, ``size`` and ``in_turns`` follow ``quick``, and ``show`` keeps its tables."""
    run = Run(quick)
    token = _run.set(run)
    try:
        yield run
    finally:
        _run.reset(token)


def size(full: int, quick: int) -> int:
    """``full``, or ``quick`` where only the answers matter, not the times."""
    run = _run.get()
    return quick if run is not None and run.quick else full


def in_turns(
    calls: Mapping[str, Callable[[], object]],
    around: Mapping[str, Callable[[], AbstractContextManager[object]]] | None = None,
    clock: Clock | None = None,
) -> dict[str, float]:
    """Median seconds of each call, timed in turns, round after round, after a first call not counted.

    Parameters
    ----------
    calls : name → function without arguments
    around : name → function that returns a context manager, entered outside the timed span: thread settings
    clock : the clock to read, for tests

    Raises
    ------
    ValueError
        ``around`` names something that is not called.
    """
    around = around or {}
    if unknown := sorted(around.keys() - calls.keys()):
        raise ValueError(f"around={unknown} names no call; the calls are {', '.join(map(repr, calls))}")
    quick = size(0, 1) == 1
    clock = clock or (Clock(rest=0.0, settling=0.0) if quick else Clock())
    subjects = []
    for name, call in calls.items():
        subject = Subject(name, call, around.get(name, nullcontext))
        clock.once(subject)  # compiles, and wakes threads
        n_calls = clock.calls_for(subject, 0.0 if quick else _SAMPLE_SECONDS)
        short = n_calls > 1 or clock.once(subject) < _LONG_SECONDS
        subjects.append(replace(subject, calls=n_calls, settle=call if short else None))
    samples = clock.interleaved(subjects, 1 if quick else ROUNDS)
    return {name: median(seconds) for name, seconds in samples.items()}


def show(
    name: str,
    seconds: Mapping[str, float] | str,
    columns: Mapping[str, Callable[[float], float]] | None = None,
    *,
    times_faster: bool = True,
) -> None:
    """Print a table of times, and keep it for the page's marker ``name``.

    Parameters
    ----------
    seconds : what was timed → seconds of one call; or a sentence, where there is nothing to show
    columns : head → figure from the seconds of a row, such as GB/s
    times_faster : whether to add how many times faster than the first row each row is

    Raises
    ------
    ValueError
        ``name`` was shown before in this run.
    """
    text = seconds if isinstance(seconds, str) else _table(seconds, columns or {}, times_faster)
    run = _run.get()
    if run is not None:
        if name in run.shown:
            raise ValueError(f"{name!r} is shown twice; every table of the page needs a name of its own")
        run.shown[name] = text
    print(text)


def _table(
    seconds: Mapping[str, float], columns: Mapping[str, Callable[[float], float]], times_faster: bool
) -> str:
    """Markdown, one row a name."""
    base, first = next(iter(seconds.items()))
    head = ["", "time", *([f"times faster than {base}"] if times_faster else []), *columns]
    rows = [
        [
            name,
            in_words(value),
            *([significant(first / value)] if times_faster else []),
            *(significant(figure(value)) for figure in columns.values()),
        ]
        for name, value in seconds.items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
