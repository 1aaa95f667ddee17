"""The interface with a clock in it: rows and an engine that pass every question on and record what it took.

Engines know nothing of this. The classes are made from the interface's own list of questions, so a question
that is added there is recorded here. What a question is worth, its flops, is counted from shapes alone: a
multiplication and an addition are two. The exponential of a row is not counted, nor what an engine adds to
the formula: padding, a second reading, conversions. So percentages of a ceiling are not too high.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from accel_logreg.interface.classes import ClassRows
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import AmongRows, Quantised, Rows
from accel_logreg.profile.record import QUESTIONS, STAGES, TAKE_ROWS, Recorder, StandIn

# Which do not read X.
_NO_QUESTION = ("placed", "pick", "take", "column_moments", "among_rows", "expect_hessian")
# Per entry of the rows that a question looks at.
_FLOPS_AN_ENTRY = {
    "loss_grad": 4,  # z, then g
    "hessian_product": 6,  # z and X V, then the sum
    "hessian_diagonal": 5,  # z; a square, its product with the weight, the sum
    "combination": 2,
    "logits": 2,
    "largest_entry": 1,
    "longest_row": 3,
}
_OF_X_ALONE = ("largest_entry", "longest_row")  # however many classes there are


def arguments_of(
    side: type, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments by name, defaults included."""
    bound = _signature(side, question).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


@cache
def _signature(side: type, question: str) -> inspect.Signature:
    return inspect.signature(getattr(side, question))


def flops(question: str, m: int, d: int, arguments: Mapping[str, Any], answer: Any, K: int = 1) -> float:
    """Of a question about m rows of d features; 0 for one that only moves rows, or is not known here.

    K : classes whose logits are one row's, 1 for two classes
    """
    p = d + 1
    if K > 1 and question in ("hessian", "kronecker_factors"):
        pairs = K * (K - 1) // 2 if question == "hessian" else 1
        return float(m) * (2 * d * K + pairs * (2 * d + p * (p + 1)))  # z; a Gram matrix for each two classes
    if K > 1 and question in ("curvature_sums", "probabilities", "intercept_hessian"):
        return float(m) * d * K * (5 if question == "curvature_sums" else 2)
    if question == "hessian" or (question == "low_precision_hessian" and answer is not None):
        return float(m) * (4 * d + p * (p + 1))  # z; centre and scale; half of a symmetric matrix
    if question == "gram":
        return float(m) * d + float(m) * (m + 1) * d
    if question == "descend":
        return 4.0 * m * d * K * int(arguments["steps"])
    if question == "small_fit" and answer is not None:
        steps = len(answer.costs) - 1
        return float(m) * (4 * d * (steps + 1) + p * (p + 1) * steps)
    columns = 1 if question in _OF_X_ALONE else K
    return float(_FLOPS_AN_ENTRY.get(question, 0)) * m * d * columns


def _arithmetic(question: str, arguments: Mapping[str, Any]) -> str:
    """The width in which a question is allowed to multiply."""
    if question == "low_precision_hessian":
        return "int8"
    return "float32" if question == "hessian" and arguments["precision"] == "float32" else "float64"


# What a question is unless said otherwise.
_USUAL = {"sampled": False, "arithmetic": "float64", "answered": True}


@contextmanager
def _question(recorder: Recorder, name: str, rows: Rows, matrix_bytes: int) -> Iterator[dict[str, Any]]:
    """Record the block; its reads of X are those that ``rows`` counted meanwhile."""
    before = rows.reads
    with recorder.span(QUESTIONS, name) as details:
        yield details
    reads = rows.reads - before
    n_bytes = float(round(reads * matrix_bytes))
    details |= {**_USUAL, "rows": rows.n_rows, "reads": reads, "bytes": n_bytes}


class _RowsStandIn(StandIn):
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
        ask = partial(getattr(self._subject, question), *args, **kwargs)
        if question in _NO_QUESTION:
            return ask()
        if question == "two_classes":
            return self._profiled(ask())
        return self.timed(question, ask, arguments_of(type(self), question, args, kwargs))

    def timed(self, question: str, ask: Callable[[], Any], asked: Mapping[str, Any]) -> Any:
        """The answer of ``ask``; ``asked`` are the question's arguments by name."""
        rows = self._subject
        with _question(self._recorder, question, rows, self._matrix_bytes) as details:
            answer = ask()
        sample = asked.get("sample") or asked.get("picked")
        m = rows.n_rows if sample is None else len(sample.rows)
        m = len(asked["a"]) if question == "combination" else m
        counted = flops(question, m, rows.n_features, asked, answer, getattr(rows, "n_classes", 1))
        details |= {
            "rows": m,
            "sampled": m < self._n_all,
            "flops": counted
            if details["reads"] > 0.0
            else 0.0,  # an answer that an earlier read left took none
            "arithmetic": _arithmetic(question, asked),
            "answered": answer is not None,
        }
        if isinstance(answer, Rows):
            return self._profiled(answer)
        if isinstance(answer, Quantised):
            return ProfiledQuantised(answer, self._recorder, rows, self._matrix_bytes)
        return answer

    def _profiled(self, rows: Rows) -> Rows:
        return profiled_rows(rows, self._recorder, self._matrix_bytes, self._n_all)


class _QuantisedStandIn(StandIn):
    """A copy in few bits whose questions are timed. ``rows`` count its bytes as reads of X."""

    def __init__(self, copy: Quantised, recorder: Recorder, rows: Rows, matrix_bytes: int) -> None:
        super().__init__(copy, recorder)
        self._rows, self._matrix_bytes = rows, matrix_bytes

    def _ask(self, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with _question(self._recorder, f"rough {question}", self._rows, self._matrix_bytes) as details:
            answer = getattr(self._subject, question)(*args, **kwargs)
        work = 4.0 * self._rows.n_rows * self._rows.n_features  # a product with X̂ and one with its transpose
        details |= {"flops": work, "arithmetic": "float32"}
        return answer


class _BackendStandIn(StandIn):
    """An engine whose rows are timed, and its predictions."""

    def __init__(self, backend: Engine, recorder: Recorder) -> None:
        super().__init__(backend, recorder)
        self.name = backend.name
        self.rates = backend.rates  # the interface has its own, which __getattr__ would not pass

    def _ask(self, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        ask = getattr(self._subject, question)
        if question == "small_fit":
            rows, *rest = args
            asked = arguments_of(Engine, question, args, kwargs)
            return rows.timed(question, partial(ask, rows._subject, *rest, **kwargs), asked)
        if question not in ("place", "logits"):  # settings: nothing to time
            return ask(*args, **kwargs)
        X = arguments_of(Engine, question, args, kwargs)["X"]
        m, d = X.shape
        if question == "place":
            with self._recorder.span(STAGES, TAKE_ROWS):
                rows = ask(*args, **kwargs)
            return profiled_rows(rows, self._recorder, int(X.nbytes), int(m))
        with self._recorder.span(QUESTIONS, question) as details:
            z = ask(*args, **kwargs)
        work = flops(question, m, d, {}, z, 1 if z.ndim == 1 else z.shape[1])
        details |= {**_USUAL, "rows": m, "reads": 1.0, "bytes": float(X.nbytes), "flops": work}
        return z


def questions_of(*sides: type) -> tuple[str, ...]:
    """The public methods of a side of the interface."""
    members = {name: member for side in sides for name, member in vars(side).items()}
    return tuple(
        name for name, member in members.items() if inspect.isfunction(member) and not name.startswith("_")
    )


def _with_clock(name: str, stand_in: type[StandIn], *sides: type) -> Any:
    """A class of the interface whose every public method is ``stand_in._ask`` with the method's name."""
    hidden = {name for side in sides for name in side.__abstractmethods__}  # type: ignore[attr-defined]
    methods: dict[str, Any] = {"__doc__": stand_in.__doc__}
    for question in {*questions_of(*sides), *hidden}:
        methods[question] = _passed_on(question)
        side = next(side for side in sides if hasattr(side, question))
        methods[question].__signature__ = _signature(side, question)
    return type(sides[0])(name, (stand_in, *sides), methods)


def _passed_on(question: str) -> Callable[..., Any]:
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._ask(question, args, kwargs)

    ask.__name__ = question
    return ask


ProfiledQuantised = _with_clock("ProfiledQuantised", _QuantisedStandIn, Quantised)
ProfiledRows = _with_clock("ProfiledRows", _RowsStandIn, Rows, AmongRows)
ProfiledClassRows = _with_clock("ProfiledClassRows", _RowsStandIn, ClassRows, Rows, AmongRows)
ProfiledBackend = _with_clock("ProfiledBackend", _BackendStandIn, Engine)


def profiled_rows(rows: Rows, recorder: Recorder, matrix_bytes: int, n_all: int) -> Rows:
    """Rows with a clock, of two classes or of more."""
    kind = ProfiledClassRows if isinstance(rows, ClassRows) else ProfiledRows
    profiled: Rows = kind(rows, recorder, matrix_bytes, n_all)
    return profiled
