"""X's parts on a Dask cluster, or on Dask's own threads: every question is a task a part, and nothing else.

Tasks are pure: W travels as a task of the graph, nothing is scattered, pinned to a worker or kept in one, so
that Dask makes again what a lost worker had. Only public functions of Dask are used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.parted.questions import Question, Term, answer
from accel_logreg.backends.parted.store import (
    Store,
    by_part,
    columns_of,
    mark_of,
    rows_of,
    some_columns,
    stacked,
)
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix, SourceError
from accel_logreg.interface.targets import Targets

PATIENCE = 60.0  # seconds without a worker, after which a fit gives up
_LOOK = 0.2  # seconds between two looks at the cluster
Part = Any  # a Delayed of a Matrix or Csr


class ClusterError(SourceError):
    """The cluster has no workers, or a part kills them; the message says what mends it."""


class DaskStore(Store):
    """Parts that are Delayed objects, and who computes them."""

    def __init__(
        self, X: PartedMatrix, parts: list[Part], load: Callable[[str], Engine], client: Any | None
    ) -> None:
        """``load`` is ``load_backend``, for tasks to find their engine by its name."""
        super().__init__(X, 0)
        self._parts, self._load, self._client = parts, load, client
        self._known: list[int] | None = None

    def terms(
        self, engine: Engine, targets: Targets, shares: Float64, question: Question
    ) -> Iterator[Term | None]:
        asked, bounds = self._task("question", _same, question), self.X.bounds.tolist()
        tasks = []
        for number, part in enumerate(self._parts):
            own = targets.part(slice(bounds[number], bounds[number + 1]))
            of = self._load, engine.name, own, shares[number], asked
            tasks.append(self._task(question.name, _answer, part, *of))
        found = self._computed(question.name, tasks)
        self._check_marks([mark for mark, _ in found])
        return iter([term for _, term in found])

    def logits(self, engine: Engine, W: Float64) -> Float64:
        asked = self._task("question", _same, W)
        tasks = [
            self._task("logits", _logits, part, self._load, engine.name, asked, None) for part in self._parts
        ]
        return np.concatenate(self._computed("logits", tasks))

    def logits_of(self, engine: Engine, W: Float64, rows: NDArray[np.intp]) -> Float64:
        order, ends = by_part(rows, self.X.bounds)
        asked = self._task("question", _same, W)
        mine = [order[ends[part] : ends[part + 1]] for part in range(self.X.n_parts)]
        tasks = [
            self._task("logits", _logits, part, self._load, engine.name, asked, rows[own] - first)
            for part, own, first in zip(self._parts, mine, self.X.bounds[:-1].tolist(), strict=True)
        ]
        z = np.empty((len(rows), W.shape[1]))
        for own, found in zip(mine, self._computed("logits", tasks), strict=True):
            z[own] = found
        return z

    def gathered(self, picked: NDArray[np.intp]) -> Matrix | Csr:
        ends = np.searchsorted(picked, self.X.bounds)
        tasks = [
            self._task(
                "sample", _taken, part, picked[ends[number] : ends[number + 1]] - self.X.bounds[number]
            )
            for number, part in enumerate(self._parts)
        ]
        found = self._computed("sample", tasks)
        self._check_marks([mark for mark, _ in found])
        pieces = [piece for _, piece in found]
        if self.X.sparse:
            return stacked(pieces)
        whole: Matrix = np.concatenate(pieces)
        return whole

    def narrowed(self, columns: NDArray[np.intp]) -> Store:
        parts = [self._task("columns", columns_of, part, columns) for part in self._parts]
        narrow = DaskStore(some_columns(self.X, columns, self.sample), parts, self._load, self._client)
        narrow.picked, narrow.sample = self.picked, columns_of(self.sample, columns)
        return narrow

    def parts(self) -> Iterator[tuple[int, Matrix | Csr]]:
        """One after the other, each computed into this process."""
        for number, part in enumerate(self._parts):
            yield number, self._computed("part", [part])[0]
        self.passes += 1

    def first_bad(self, find: Callable[[Any], Any]) -> list[Any]:
        """What ``find`` says of every part."""
        return self._computed("check", [self._task("check", find, part) for part in self._parts])

    def _task(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        from dask.delayed import delayed

        return delayed(_named(f"accel-logreg-{name}", function), pure=False)(*arguments)

    def _computed(self, name: str, tasks: list[Any]) -> list[Any]:
        """The tasks' results, in order. Raises what they raise; SourceError where the cluster is gone."""
        self.passes += 1
        return compute(tasks, self._client, f"{name} of {self.X.where}")

    def _check_marks(self, marks: list[int]) -> None:
        if self._known is None:
            self._known = marks
        for part, (mark, known) in enumerate(zip(marks, self._known, strict=True)):
            if mark != known:
                raise SourceError(
                    f"part {part} of {self.X.where} changed between two reads: a fit needs the same rows "
                    "every time, also where a worker was lost and its parts are made again. Persist X, or "
                    "make it so that it is the same every time it is computed"
                )


def compute(tasks: list[Any], client: Any | None, what: str) -> list[Any]:
    """Results of Delayed objects in order: by a client, who waits PATIENCE for workers, or Dask's threads."""
    if client is None:
        import dask.base

        by_threads: Any = dask.base.compute
        return list(by_threads(*tasks))
    from distributed import KilledWorker

    with _inside_a_task(client) as asked:
        futures = asked.compute(tasks)
        try:
            without = 0.0
            while not all(future.done() for future in futures):
                time.sleep(min(_LOOK, 0.005 + 0.1 * without))
                if asked.status not in ("running", "connecting"):
                    raise ClusterError(f"{what}: the scheduler is gone ({asked.status})")
                if len(asked.scheduler_info(n_workers=-1)["workers"]):
                    without = 0.0
                    continue
                without += _LOOK
                if without > PATIENCE:
                    raise ClusterError(f"{what}: there was no worker for {PATIENCE:g} s. Start some")
            return list(asked.gather(futures))
        except KilledWorker as error:
            raise ClusterError(
                f"{what}: a part killed one worker after the other ({error}). It is most likely larger than "
                "the memory that a worker has for it: rechunk X to fewer rows a block"
            ) from error
        finally:
            # A traceback would keep what was asked for on the scheduler.
            if asked.status == "running" and not all(future.done() for future in futures):
                asked.cancel(futures)


def _inside_a_task(client: Any) -> AbstractContextManager[Any]:
    """A client to ask by; inside a task one that gives its place to others meanwhile."""
    from distributed import get_worker, worker_client

    try:
        get_worker()
    except ValueError:
        return nullcontext(client)
    asked: AbstractContextManager[Any] = worker_client()
    return asked


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under a name that a dashboard shows."""

    def named(*arguments: Any) -> Any:
        return function(*arguments)

    named.__name__ = name
    return named


def _same(value: Any) -> Any:
    return value


def _answer(
    X: Matrix | Csr,
    load: Callable[[str], Engine],
    name: str,
    targets: Targets,
    share: Any,
    question: Question,
) -> tuple[int, Term | None]:
    """In a task, which is one thread: the bits are those of any number."""
    engine = load(name)
    with engine.threads(1):
        return mark_of(X), answer(engine, X, targets, share, question)


def _logits(
    X: Matrix | Csr, load: Callable[[str], Engine], name: str, W: Float64, rows: NDArray[np.intp] | None
) -> Float64:
    engine = load(name)
    with engine.threads(1):
        z = engine.logits(X, W)
    return z if rows is None else z[rows]


def _taken(X: Matrix | Csr, rows: NDArray[np.intp]) -> tuple[int, Matrix | Csr]:
    if isinstance(X, Csr):
        return mark_of(X), rows_of(X, rows)
    taken: Matrix = X[rows]
    return mark_of(X), taken
