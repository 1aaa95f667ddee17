"""What orchestrator and worker say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.judge.data import Float64


@dataclass(frozen=True)
class Task:
    """What a worker is for.

    fit, convert : "module:function", see libraries.py; convert may be empty.
    converts_by : the parameters that a conversion depends on.
    folder : where the data lie.
    module : the library's, imported before the clock starts except in a cold request; empty for none.
    """

    fit: str
    convert: str
    converts_by: tuple[str, ...]
    folder: str
    module: str = ""


@dataclass(frozen=True)
class Request:
    """Fit with these parameters, ``calls`` times or until ``seconds`` are over, at least once.

    With ``calls`` 0 only the conversion is done that these parameters need, ``anew`` also if it is there.

    threads : what the fit is told it may use.
    blas_threads : None leaves BLAS as it starts, with all cores.
    cold : the library's import counts.
    """

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
    w, b : the last call's answer.
    peak_bytes : by how much resident memory rose above what it was before the calls; None where the
        system does not tell.
    conversion_seconds, conversion_bytes : of the conversion this request needed, None if it needed none.
    warnings : different ones, without repeats.
    trouble : why there is no answer, empty if there is one.
    """

    seconds: tuple[float, ...] = ()
    w: Float64 | None = None
    b: float = 0.0
    iterations: int | None = None
    reads: int | None = None
    remark: str = ""
    peak_bytes: int | None = None
    conversion_seconds: float | None = None
    conversion_bytes: int | None = None
    warnings: tuple[str, ...] = ()
    trouble: str = ""
