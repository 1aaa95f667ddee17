"""``accel-logreg profile``: where the time of a fit goes, beside what this machine could do."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from accel_logreg.cli.common import (
    Backend,
    BackendName,
    HowToSolve,
    MaxIter,
    Precision,
    Threads,
    facts,
    note,
    optional,
    out,
    reports_errors,
)  # fmt: skip
from accel_logreg.files.atomic import atomic_write, publish
from accel_logreg.files.tables import read_training_data
from accel_logreg.measure.table import say, show
from accel_logreg.profile import nsight, report
from accel_logreg.profile.problem import Problem, check_shape, made_problem, require_memory
from accel_logreg.profile.result import Profile, Settings
from accel_logreg.profile.run import run_profile

PAGE, RESULTS = "profile.html", "profile.json"
FEATURES = 28
ROWS = {"python": 2_000}
MOST_ROWS = 1_000_000  # unless asked for: what the fast engines fit in a fraction of a second


@dataclass(frozen=True)
class Source:
    """What is fitted: a made problem of this shape, or a file; and how X is stored."""

    shape: tuple[int, int] | None
    data: Path | None
    target: str | None
    dtype: Precision

    def problem(self, settings: Settings) -> Problem:
        if self.shape is None:
            assert self.data is not None
            found = read_training_data(self.data, target=self.target, dtype=self.dtype.dtype)
            assert found.y is not None
            X: Any = found.X  # one dtype, which only the reader's type does not say
            return Problem(X, found.y, str(self.data))
        n, d = self.shape
        require_memory(n, d, self.dtype.value, settings.backend, settings.solver)
        note(f"making {n:,} × {d:,} {self.dtype.value}")
        return made_problem(n, d, self.dtype.value, settings.seed)


@dataclass(frozen=True)
class Written:
    """The files that are asked for."""

    output: Path | None
    json: Path | None
    trace: Path | None

    def check(self) -> None:
        """Refuse what cannot be written, before anything is measured."""
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise NotADirectoryError(f"--output {self.output} is a file; name a folder")
        for option, path in (("--json", self.json), ("--trace", self.trace)):
            if path is not None and path.is_dir():
                raise IsADirectoryError(f"{option} {path} is a folder; name a file in it")
            if path is not None and not path.absolute().parent.is_dir():
                raise FileNotFoundError(
                    f"{option} {path}: the folder {path.absolute().parent} does not exist"
                )

    def write(self, result: Profile) -> None:
        for path, text in ((self.json, report.to_json), (self.trace, report.to_trace)):
            if path is not None:
                with atomic_write(path) as stream:
                    stream.write(text(result).encode())
                say(out, f"Written: {path}")
        if self.output is not None:
            _publish(result, self.output)


@reports_errors
def profile(
    backend: Backend = "auto",
    rows: Annotated[
        str | None,
        optional("Rows of the made problem, such as 200000 or 1e6; 1e6 if not given, python: 2000."),
    ] = None,
    features: Annotated[str | None, optional("Features of the made problem; 28 if not given.")] = None,
    dtype: Annotated[Precision, typer.Option(help="How X is stored; sums are float64.")] = Precision.FLOAT32,
    data: Annotated[Path | None, optional("Profile a fit to this CSV, Parquet or NPZ file instead.")] = None,
    target: Annotated[
        str | None, optional("With --data: the column of the two classes (NPZ: the array).")
    ] = None,
    solver: HowToSolve = "auto",
    C: Annotated[float, typer.Option("--C", help="Inverse of the penalty's strength; 'inf' is none.")] = 1.0,
    tol: Annotated[float, typer.Option(help="Stop at this relative gap to the optimum.")] = 1e-8,
    max_iter: MaxIter = None,
    seed: Annotated[int, typer.Option(help="Of the made problem and of the model's random_state.")] = 0,
    n_threads: Threads = None,
    repeats: Annotated[int, typer.Option(help="Fits with the profiler, and as many without.")] = 3,
    output: Annotated[
        Path | None, optional("Folder for the page, pictures and JSON.", "--output", "-o")
    ] = None,
    json_file: Annotated[Path | None, optional("Write the figures to this file.", "--json")] = None,
    trace: Annotated[Path | None, optional("Write a trace for ui.perfetto.dev or chrome://tracing.")] = None,
    nsys: Annotated[
        bool, typer.Option("--nsys", help="Run under Nsight Systems, or print the command that does.")
    ] = False,
    ncu: Annotated[
        bool, typer.Option("--ncu", help="Run under Nsight Compute, or print the command that does.")
    ] = False,
) -> None:
    """Show where the time of a fit goes: stages, questions to the engine, kernels, reads of X.

    The machine's own ceilings are measured in the same run, and every time is set against them.
    """
    settings = Settings(backend, solver, C, tol, max_iter, seed=seed, n_threads=n_threads, repeats=repeats)
    if data is not None and (rows or features) is not None:
        raise ValueError("--data has its own rows and features: leave out --rows and --features")
    if data is None and target is not None:
        raise ValueError(f"--target {target!r} names a column of a file: give the file with --data")
    shape = _shape(rows, features, backend) if data is None else None
    source, files = Source(shape, data, target, dtype), Written(output, json_file, trace)
    files.check()
    tools = [tool for tool, asked in ((nsight.SYSTEMS, nsys), (nsight.COMPUTE, ncu)) if asked]
    if tools:
        arguments = _arguments(settings, source, files)
        raise typer.Exit(max(_run_tool(tool, arguments, output, backend) for tool in tools))
    result = run_profile(source.problem(settings), settings, report=note)
    facts(report.facts(result))
    out.print()
    for table in report.tables(result).values():
        show(out, table)
    for sentence in report.cautions(result):
        say(out, f"→ {sentence}")
    files.write(result)


def _shape(rows: str | None, features: str | None, backend: BackendName) -> tuple[int, int]:
    default = ROWS.get(backend, MOST_ROWS)
    n = default if rows is None else _whole("rows", rows)
    d = FEATURES if features is None else _whole("features", features)
    check_shape(n, d)
    return n, d


def _whole(option: str, text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = 0.5
    if value != int(value) if abs(value) < 1e15 else True:
        raise ValueError(f"--{option} {text!r} is not a whole number; write it as 200000 or 2e5")
    return int(value)


def _arguments(settings: Settings, source: Source, files: Written) -> list[str]:
    """The same command without --nsys and --ncu, every option that matters spelt out."""
    rows, features = source.shape or (None, None)
    options: dict[str, object | None] = {
        "--backend": settings.backend,
        "--rows": rows,
        "--features": features,
        "--dtype": source.dtype.value,
        "--data": source.data,
        "--target": source.target,
        "--solver": settings.solver,
        "--C": settings.C,
        "--tol": settings.tol,
        "--max-iter": settings.max_iter,
        "--seed": settings.seed,
        "--n-threads": settings.n_threads,
        "--repeats": 1,  # under a profiler the times mean little; one fit is what it shows
        "--output": files.output,
        "--json": files.json,
        "--trace": files.trace,
    }
    return [text for name, value in options.items() if value is not None for text in (name, str(value))]


def _run_tool(tool: nsight.Tool, arguments: list[str], output: Path | None, backend: BackendName) -> int:
    """Run the tool, or say how to; its exit code."""
    if tool is nsight.COMPUTE and backend != "cupy":
        raise ValueError(f"--ncu looks into CUDA kernels and --backend {backend} has none: use cupy")
    folder = Path() if output is None else output
    line = nsight.command(tool, arguments, folder, backend)
    if tool.path() is None:
        for text in nsight.missing(tool, shlex.join(line)):
            out.print(text, markup=False, soft_wrap=True)
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    note(shlex.join(line))
    code = subprocess.run(line, check=False).returncode
    if code == 0:
        note(f"{tool.name} wrote {folder / f'profile-{tool.executable}'}.{tool.report}")
    return code


def _publish(result: Profile, output: Path) -> None:
    """profile.json, and the pictures and the page where matplotlib and jinja2 are installed."""
    missing = [package for package in ("matplotlib", "jinja2") if find_spec(package) is None]
    contents = {RESULTS: report.to_json(result).encode()}
    if "matplotlib" not in missing:
        from accel_logreg.profile import plots

        pictures = {"roofline": plots.roofline(result), "stages": plots.timeline(result)}
        contents |= {f"{name}.svg": svg for name, svg in pictures.items()}
    if missing:
        packages = " and ".join(missing)
        note(f'{PAGE} is left out, {packages} missing: pip install "accel_logreg[lab]"')
        last = RESULTS
    else:
        contents[PAGE] = report.to_html(result, pictures).encode()
        last = PAGE
    publish(output, contents, last)
    say(out, f"Written: {output / last}" + (", its pictures and figures beside it" if last == PAGE else ""))
