"""The door with a clock in it: rows and a backend that pass every question on and record what it took.

Engines know nothing of this. The classes are made from the door's own list of questions, so a question
that is added there is recorded here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import AmongRows, Quantised, Rows
from accel_logreg.profile.record import QUESTIONS, STAGES, Recorder
from accel_logreg.profile.work import arguments_of, arithmetic, flops, rows_looked_at

_NO_QUESTION = ("placed", "pick", "take", "column_moments", "among_rows")  # which do not read X
TAKE_ROWS = "take rows"  # the stage in which X goes into the engine's memory


class _StandIn:
    """Everything that is not asked through the door is the subject's own."""

    def __init__(self, subject: Any, recorder: Recorder) -> None:
        self._subject, self._recorder = subject, recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)


class _RowsStandIn(_StandIn):
    """Rows whose questions are timed; samples taken from them are the same.

    matrix_bytes : of X, all rows
    n_all : rows of X, of which these may be a sample
    """

    def __init__(self, rows: Rows, recorder: Recorder, matrix_bytes: int, n_all: int) -> None:
        super().__init__(rows, recorder)
        self._matrix_bytes, self._n_all = matrix_bytes, n_all

    def _ask(self, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if question == "among_rows":
            return None if self._subject.among_rows() is None else self
        ask = getattr(self._subject, question)
        if question in _NO_QUESTION:
            return ask(*args, **kwargs)
        return self.timed(question, ask, type(self), args, kwargs)

    def timed(
        self,
        question: str,
        ask: Callable[..., Any],
        door: type,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """The answer of ``ask``, whose arguments are those of the class's question."""
        rows = self._subject
        before = rows.reads
        with self._recorder.span(QUESTIONS, question) as details:
            answer = ask(*args, **kwargs)
        asked = arguments_of(door, question, args, kwargs)
        m = rows_looked_at(question, rows.n_rows, asked)
        reads = rows.reads - before
        details |= {
            "rows": m,
            "sampled": m < self._n_all,
            "reads": reads,
            "bytes": float(round(reads * self._matrix_bytes)),
            "flops": flops(question, m, rows.n_features, asked, answer),
            "arithmetic": arithmetic(question, asked),
            "answered": answer is not None,
        }
        if isinstance(answer, Rows):
            return ProfiledRows(answer, self._recorder, self._matrix_bytes, self._n_all)
        if isinstance(answer, Quantised):
            return ProfiledQuantised(answer, self._recorder, rows, self._matrix_bytes)
        return answer


class _QuantisedStandIn(_StandIn):
    """A copy in few bits whose questions are timed. ``rows`` count its bytes as reads of X."""

    def __init__(self, copy: Quantised, recorder: Recorder, rows: Rows, matrix_bytes: int) -> None:
        super().__init__(copy, recorder)
        self._rows, self._matrix_bytes = rows, matrix_bytes

    def _ask(self, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        rows = self._rows
        before = rows.reads
        with self._recorder.span(QUESTIONS, f"rough {question}") as details:
            answer = getattr(self._subject, question)(*args, **kwargs)
        reads = rows.reads - before
        details |= {
            "rows": rows.n_rows,
            "sampled": False,
            "reads": reads,
            "bytes": float(round(reads * self._matrix_bytes)),
            "flops": 4.0 * rows.n_rows * rows.n_features,  # a product with X̂ and one with its transpose
            "arithmetic": "float32",
            "answered": True,
        }
        return answer


class _BackendStandIn(_StandIn):
    """An engine whose rows are timed, and its predictions."""

    def __init__(self, backend: Engine, recorder: Recorder) -> None:
        super().__init__(backend, recorder)
        self.name = backend.name
        self.rates = backend.rates  # the door has its own, which __getattr__ would not pass

    def _ask(self, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        ask = getattr(self._subject, question)
        if question == "small_fit":
            rows, *rest = args

            def small_fit(_rows: Any, *rest: Any, **kwargs: Any) -> Any:
                return ask(rows._subject, *rest, **kwargs)

            return rows.timed(question, small_fit, Engine, (rows, *rest), kwargs)
        if question == "place":
            X = arguments_of(Engine, question, args, kwargs)["X"]
            with self._recorder.span(STAGES, TAKE_ROWS):
                rows = ask(*args, **kwargs)
            return ProfiledRows(rows, self._recorder, int(X.nbytes), int(X.shape[0]))
        if question != "logits":  # settings: nothing to time
            return ask(*args, **kwargs)
        with self._recorder.span(QUESTIONS, question) as details:
            z = ask(*args, **kwargs)
        asked = arguments_of(Engine, question, args, kwargs)
        m, d = asked["X"].shape
        details |= {
            "rows": m,
            "sampled": False,
            "reads": 1.0,
            "bytes": float(asked["X"].nbytes),
            "flops": flops(question, m, d, asked, z),
            "arithmetic": "float64",
            "answered": True,
        }
        return z


def questions_of(*doors: type) -> tuple[str, ...]:
    """The public methods of a side of the interface."""
    members = {name: member for door in doors for name, member in vars(door).items()}
    return tuple(
        name for name, member in members.items() if inspect.isfunction(member) and not name.startswith("_")
    )


def _passed_on(question: str) -> Callable[..., Any]:
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._ask(question, args, kwargs)

    ask.__name__ = question
    return ask


def _with_clock(name: str, stand_in: type[_StandIn], *doors: type) -> Any:
    """A class of the interface whose every public method is ``stand_in._ask`` with the method's name."""
    questions = questions_of(*doors)
    hidden = {name for door in doors for name in door.__abstractmethods__}  # type: ignore[attr-defined]
    methods = {question: _passed_on(question) for question in {*questions, *hidden}}
    for question, method in methods.items():
        method.__signature__ = inspect.signature(  # type: ignore[attr-defined]
            next(getattr(door, question) for door in doors if hasattr(door, question))
        )
    return type(doors[0])(name, (stand_in, *doors), {**methods, "__doc__": stand_in.__doc__})


ProfiledQuantised = _with_clock("ProfiledQuantised", _QuantisedStandIn, Quantised)
ProfiledRows = _with_clock("ProfiledRows", _RowsStandIn, Rows, AmongRows)
ProfiledBackend = _with_clock("ProfiledBackend", _BackendStandIn, Engine)
