"""The process of one solver: loads the data, then fits whenever it is asked, and imports only its library."""

from __future__ import annotations

import importlib
import time
import traceback
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.harness.memory import Peak
from bench.harness.process import function
from bench.problems.problem import Float64, Problem, load

_LONGEST_WARNING = 200  # characters


@dataclass(frozen=True)
class Task:
    """What a worker is for.

    fit, convert : "module:function", see libraries.py; convert may be empty.
    converts_by : the parameters that a conversion depends on.
    module : the library's, imported before the clock starts except in a cold request; empty for none.
    """

    fit: str
    convert: str
    converts_by: tuple[str, ...]
    module: str = ""


@dataclass(frozen=True)
class Request:
    """Fit the data in ``folder`` with these parameters, ``calls`` times or until ``seconds`` are over.

    With ``calls`` 0 only the conversion is done that these parameters need, ``anew`` also if it is there.

    threads : what the fit is told it may use.
    blas_threads : None leaves BLAS as it starts, with all cores.
    cold : the library's import counts.
    """

    folder: str
    parameters: dict[str, Any]
    threads: int
    blas_threads: int | None = None
    anew: bool = False
    cold: bool = False
    calls: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Reply:
    """What came of a request.

    seconds : of every call, in order.
    W : (d + 1,), the last call's answer, the intercept last.
    peak_bytes : by how much resident memory rose above what it was before the calls; None where the
        system does not tell.
    conversion_seconds, conversion_bytes : of the conversion this request needed, None if it needed none.
    warnings : different ones, without repeats.
    trouble : why there is no answer, empty if there is one.
    """

    seconds: tuple[float, ...] = ()
    W: Float64 | None = None
    iterations: int | None = None
    reads: int | None = None
    remark: str = ""
    peak_bytes: int | None = None
    conversion_seconds: float | None = None
    conversion_bytes: int | None = None
    warnings: tuple[str, ...] = ()
    trouble: str = ""


class Worker:
    """Holds the data of the last request, and the last conversion of them; called with one, it answers."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.data: Problem | None = None
        self._folder = ""
        self._converted: tuple[tuple[Any, ...], Any] | None = None

    def __call__(self, request: Request) -> Reply:
        """Whatever a library raises becomes a reply: a solver that cannot is a row, not a crash."""
        reply = Reply()
        if self.data is None or request.folder != self._folder:
            self.data = self._converted = None  # the old ones go before the new ones come
            self.data, self._folder = load(Path(request.folder)), request.folder
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                if self.task.module and not request.cold:
                    importlib.import_module(self.task.module)  # limits reach a BLAS only once it is loaded
                reply = self._conversion(self.data, request)
                if request.calls > 0:
                    reply = self._fit(self.data, request, reply)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())[:300]
            trouble = f"{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"
            reply = replace(reply, trouble=trouble)
        told = (w for w in heard if not issubclass(w.category, (DeprecationWarning, FutureWarning)))
        different = dict.fromkeys(_first_line(str(w.message)) for w in told)
        return replace(reply, warnings=tuple(different))

    def _conversion(self, data: Problem, request: Request) -> Reply:
        if not self.task.convert:
            return Reply()
        key = tuple(request.parameters[name] for name in self.task.converts_by)
        if self._converted is not None and self._converted[0] == key and not request.anew:
            return Reply()
        convert = function(self.task.convert)
        self._converted = None  # the old one goes before the new one comes
        peak, start = Peak(), time.perf_counter()
        converted = convert(data.X, data.y, request.parameters)
        seconds = time.perf_counter() - start
        self._converted = (key, converted)
        return Reply(conversion_seconds=seconds, conversion_bytes=peak.bytes())

    def _fit(self, data: Problem, request: Request, reply: Reply) -> Reply:
        fit = function(self.task.fit)
        X = data.X if self._converted is None else self._converted[1]
        parameters = {**request.parameters, "C": data.C, "l1_ratio": data.l1_ratio, "Cs": data.Cs}
        seconds: list[float] = []
        with _blas(request.blas_threads):
            peak = Peak()
            began = time.perf_counter()
            while len(seconds) < request.calls:
                start = time.perf_counter()
                answer = fit(X, data.y, parameters, request.threads)
                seconds.append(time.perf_counter() - start)
                if time.perf_counter() - began >= request.seconds:
                    break
        return replace(
            reply,
            seconds=tuple(seconds),
            W=np.column_stack([np.atleast_2d(answer.w), np.ravel(answer.b)]).astype(np.float64).ravel(),
            iterations=answer.iterations,
            reads=answer.reads,
            remark=answer.remark,
            peak_bytes=peak.bytes(),
        )


def _blas(threads: int | None) -> AbstractContextManager[object]:
    if threads is None:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(threads, user_api="blas")
    return limits


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _LONGEST_WARNING else line[:_LONGEST_WARNING] + "…"
