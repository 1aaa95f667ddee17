"""What the commands share: consoles, choices, and errors as one message instead of a traceback."""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from accel_logreg import BackendUnavailableError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

P = ParamSpec("P")
R = TypeVar("R")


BackendName = Literal["auto", "python", "numpy", "numba", "cupy"]
Solver = Literal["auto", "newton", "newton-cg", "newton-gram", "prox-newton", "lbfgs", "gradient-descent"]


class Precision(StrEnum):
    """How X is stored; sums are float64 either way."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> type[np.float32] | type[np.float64]:
        return np.float32 if self is Precision.FLOAT32 else np.float64


def optional(help_text: str, *names: str) -> Any:
    """An option whose default says nothing and is not shown."""
    return typer.Option(*names, help=help_text, show_default=False)


# Options that several commands have.
Backend = Annotated[BackendName, typer.Option(help="The engine; auto: numba if it is there.")]
HowToSolve = Annotated[Solver, typer.Option(help="How the optimum is found.")]
MaxIter = Annotated[int | None, optional("Most iterations; the solver's own if not given.")]
Threads = Annotated[int | None, optional("Threads of the engine; all cores if not given.")]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read, and say which.")
]


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """One message on stderr instead of a traceback.

    Exit code 2 for bad input or an engine that cannot run, 1 where the machine lacks a package or memory
    or engines disagree, 130 after Ctrl-C.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return command(*args, **kwargs)
            except KeyboardInterrupt:
                raise _failure("interrupted", 130) from None
            except BrokenPipeError:  # the reader of a pipe has gone, which is no one's mistake
                raise
            except OSError as error:
                text = (
                    f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
                )
                raise _failure(text, 2) from error
            except (BackendUnavailableError, ValueError) as error:
                raise _failure(str(error), 2) from error
            except (ImportError, MemoryError, ArithmeticError) as error:
                raise _failure(str(error), 1) from error

    return wrapped


def _failure(text: str, code: int) -> typer.Exit:
    err.print(f"accel-logreg: {text}")
    return typer.Exit(code)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    err.print(f"accel-logreg: warning: {message}")


def note(text: str) -> None:
    """Something worth knowing, on stderr."""
    err.print(f"note: {text}")


def check_output(path: Path, suffixes: Sequence[str] = (), option: str = "--output") -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"{option} {path}: the name must end in one of {', '.join(suffixes)}")
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; name a file in it")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ValueError(f"{option} {path}: the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{option} {path}: the folder {folder} cannot be written; choose another")


def whole_number(option: str, text: str) -> int:
    """Of "200000" or "2e5"."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value.is_integer():
        raise ValueError(f"{option} {text!r} is not a whole number; write it as 200000 or 2e5")
    return int(value)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns, long values in one line."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        out.print(f"[bold]{name:<{width}}[/]  {escape(value)}", soft_wrap=True)


def some(texts: Sequence[str], limit: int = 20) -> str:
    """The first of them by commas, and how many there are."""
    more = f", … ({len(texts):,} in all)" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


def report_pictures(count: int, resized: int, size: int, skipped: Sequence[str]) -> None:
    """How many pictures were read, how many of them resized, and which files were left out."""
    out.print(f"{count:,} pictures, {resized:,} of them resized to {size} × {size} pixels")
    for reason in skipped:
        note(f"skipped {reason}")
