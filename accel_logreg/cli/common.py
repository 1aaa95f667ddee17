"""What the commands share: consoles, choices, and errors as one message instead of a traceback."""

from __future__ import annotations

import csv
import functools
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperCommand

from accel_logreg import BackendUnavailableError
from accel_logreg.files.atomic import is_standard_output, is_stream
from accel_logreg.files.formats import Dialect
from accel_logreg.measure.compiling import told_of_compiling

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
beside = Console(stderr=True, highlight=False)  # where ``out`` writes when standard output carries data

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


def optional(help_text: str, *names: str, metavar: str | None = None) -> Any:
    """An option whose default says nothing and is not shown."""
    return typer.Option(*names, help=help_text, show_default=False, metavar=metavar)


def several(help_text: str, *names: str, metavar: str = "<column,…>") -> Any:
    """One that takes several values: by commas, or the option again."""
    return optional(help_text, *names, metavar=metavar)


# Options that several commands have.
Backend = Annotated[BackendName, typer.Option(help="The engine; auto: numba if it is there.")]
HowToSolve = Annotated[Solver, typer.Option(help="How the optimum is found.")]
MaxIter = Annotated[int | None, optional("Most iterations; the solver's own if not given.")]
Threads = Annotated[int | None, optional("Threads of the engine; all cores if not given.")]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read, and say which.")
]


MaxMemory = Annotated[
    str | None,
    optional(
        "Read the data in parts, several times, in this much memory, such as 8GB: for .npy (with --labels), "
        ".npz, .parquet, .feather, or a quoted pattern of several."
    ),
]


# --json means the same everywhere; a file of the same has an option of its own.
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead.")]
JsonFile = Annotated[
    Path | None, optional("Write the figures to this file as JSON; '-' is standard output.", "--json-file")
]


class WithJsonFile(TyperCommand):
    """A command whose --json took a file once: that use is refused, and the remedy said."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for place, word in enumerate(args):
            name, given, value = word.partition("=")
            if name == "--json" and not given:
                value, *after = [*args[place + 1 : place + 3], ""]
                # A file that is read may follow a flag; it is no JSON, or another one follows it.
                if value != "-" and not (value.endswith(".json") and after[0][:1] in ("", "-")):
                    continue
            if name == "--json":
                remedy = "leave the '-' out" if value == "-" else f"write --json-file {value}"
                ctx.fail(f"--json takes no file any more, it prints: {remedy}")
        return super().parse_args(ctx, args)


# Options of the commands that read tables.
Drop = Annotated[list[str] | None, several("Leave these columns out: by commas, or the option again.")]
Sep = Annotated[
    str | None, optional("Of a text file, what separates its fields; found out if not given. A tab is 'tab'.")
]
Encoding = Annotated[
    str | None, optional("Of a text file, such as gb18030 or cp1252; UTF-8 or UTF-16 if not given.")
]
Decimal = Annotated[
    str | None, optional("Of a text file, the decimal sign: '.' or ','; found out if not given.")
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="A text file has no line of names: they are f0, f1, …")
]
Missing = Annotated[
    list[str] | None,
    optional(
        "Of a text file, what else stands for a missing value, such as '?', beside nothing, NA and null."
    ),
]


def dialect(
    sep: str | None, encoding: str | None, decimal: str | None, no_header: bool, missing: list[str] | None
) -> Dialect:
    """Of the options above."""
    sep = "\t" if sep in ("tab", "\\t") else sep
    return Dialect(sep, encoding, decimal, not no_header, tuple(split(missing) or ()))


def split(texts: Sequence[str] | None) -> list[str] | None:
    """The values of an option that was given several times, by commas, or both; a comma itself in quotes."""
    if texts is None:
        return None
    return [
        one.strip()
        for one in (cell for row in csv.reader(texts, skipinitialspace=True) for cell in row)
        if one.strip()
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


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """What is being done and for how long, while it lasts, where stderr is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        progress.add_task(text, total=None)
        yield


def told(backend: str) -> AbstractContextManager[Any]:
    """A note at once where the engine begins to compile its kernels, which takes seconds the first time."""
    return told_of_compiling(note) if backend in ("auto", "numba") else nullcontext()


def one_output(option: str, path: Path | None, as_json: bool) -> None:
    """Refuse two things on standard output."""
    if as_json and path is not None and is_standard_output(path):
        raise ValueError(f"--json and {option} - both write to standard output; give {option} a file")


def standard_output(path: Path) -> Path:
    """ "-" as a path that can be written to."""
    return Path("/dev/stdout") if str(path) == "-" else path


def console_beside(*written: Path | None) -> Console:
    """Where to print for a reader: standard output, or standard error where that carries one of the files."""
    return beside if any(path is not None and is_standard_output(path) for path in written) else out


def check_output(path: Path, suffixes: Sequence[str] = (), option: str = "--output") -> None:
    """Refuse a file that could not be written, before any work is done for it.

    What is no regular file, a pipe or a device, may have any name.
    """
    if is_stream(path):
        if not (is_standard_output(path) or os.access(path, os.W_OK)):
            raise ValueError(f"{option} {path} cannot be written; choose another")
        return
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
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


def facts(rows: Sequence[tuple[str, str]], console: Console = out) -> None:
    """Print names and values in two columns, long values in one line."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"[bold]{name:<{width}}[/]  {escape(value)}", soft_wrap=True)


def report_pictures(
    count: int, resized: int, size: int, skipped: Sequence[str], console: Console = out
) -> None:
    """How many pictures were read, how many of them resized, and which files were left out."""
    console.print(f"{count:,} pictures, {resized:,} of them resized to {size} × {size} pixels")
    for reason in skipped:
        note(f"skipped {reason}")
