"""The door with a clock in it: rows and a backend that pass every question on and record what it took.

Engines know nothing of this. The classes are made from the door's own list of questions, so a question
that is added there is recorded here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rough, Rows
from accel_logreg.profile.record import QUESTIONS, STAGES, Recorder
from accel_logreg.profile.work import arguments_of, arithmetic, flops, rows_looked_at

_NO_QUESTION = ("rates",)  # about the rows, which are not looked at
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
        rows = self._subject
        if question in _NO_QUESTION:
            return getattr(rows, question)(*args, **kwargs)
        before = rows.reads
        with self._recorder.span(QUESTIONS, question) as details:
            answer = getattr(rows, question)(*args, **kwargs)
        asked = arguments_of(Rows, question, args, kwargs)
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
        if isinstance(answer, Rough):
            return ProfiledRough(answer, self._recorder, rows, self._matrix_bytes)
        return answer


class _RoughStandIn(_StandIn):
    """A copy in few bits whose questions are timed. ``rows`` count its bytes as reads of X."""

    def __init__(self, rough: Rough, recorder: Recorder, rows: Rows, matrix_bytes: int) -> None:
        super().__init__(rough, recorder)
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
        if question == "bounded":
            engine = ask(*args, **kwargs)
            return self if engine is self._subject else ProfiledBackend(engine, self._recorder)
        if question == "adopt":
            return ProfiledMatrix(ask(*args, **kwargs), self._recorder)
        if question == "rows":
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


class _MatrixStandIn(_StandIn):
    """An X on a GPU whose rows are timed."""

    def __init__(self, matrix: DeviceMatrix, recorder: Recorder) -> None:
        super().__init__(matrix, recorder)
        self.shape, self.dtype = matrix.shape, matrix.dtype

    def __getitem__(self, rows: Any) -> Any:
        return self._subject[rows]

    def _ask(self, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        ask = getattr(self._subject, question)
        if question != "rows":
            return ask(*args, **kwargs)
        with self._recorder.span(STAGES, TAKE_ROWS):
            rows = ask(*args, **kwargs)
        return ProfiledRows(rows, self._recorder, self._subject.nbytes, self.shape[0])


def questions_of(door: type) -> tuple[str, ...]:
    """The public methods of a side of the door."""
    return tuple(
        name for name, member in vars(door).items() if inspect.isfunction(member) and not name.startswith("_")
    )


def _passed_on(question: str) -> Callable[..., Any]:
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._ask(question, args, kwargs)

    ask.__name__ = question
    return ask


def _with_clock(name: str, stand_in: type[_StandIn], door: type) -> Any:
    """A class of the door whose every public method is ``stand_in._ask`` with the method's name."""
    methods = {question: _passed_on(question) for question in questions_of(door)}
    return type(door)(name, (stand_in, door), {**methods, "__doc__": stand_in.__doc__})


ProfiledRough = _with_clock("ProfiledRough", _RoughStandIn, Rough)
ProfiledRows = _with_clock("ProfiledRows", _RowsStandIn, Rows)
ProfiledMatrix = _with_clock("ProfiledMatrix", _MatrixStandIn, DeviceMatrix)
ProfiledBackend = _with_clock("ProfiledBackend", _BackendStandIn, Engine)
