"""``accel-logreg profile``: where the time of a fit goes, beside what this machine could do."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from accel_logreg.cli.common import (
    AsJson,
    Backend,
    BackendName,
    Decimal,
    Drop,
    Encoding,
    HowToSolve,
    JsonFile,
    MaxIter,
    Missing,
    NoHeader,
    Precision,
    Sep,
    Threads,
    check_output,
    console_beside,
    dialect,
    facts,
    note,
    one_output,
    optional,
    out,
    reports_errors,
    split,
    standard_output,
    waiting,
    whole_number,
)  # fmt: skip
from accel_logreg.files.atomic import atomic_write, publish
from accel_logreg.files.formats import Dialect
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


@reports_errors
def profile(
    backend: Backend = "auto",
    rows: Annotated[
        str | None,
        optional("Rows of the made problem, such as 200000 or 1e6; 1e6 if not given, python: 2000."),
    ] = None,
    features: Annotated[str | None, optional("Features of the made problem; 28 if not given.")] = None,
    dtype: Annotated[Precision, typer.Option(help="How X is stored; sums are float64.")] = Precision.FLOAT32,
    data: Annotated[
        Path | None, optional("Profile a fit to this table or these arrays, as train reads them.")
    ] = None,
    target: Annotated[
        str | None, optional("With --data: the column of the classes (NPZ: the array).")
    ] = None,
    drop: Drop = None,
    sep: Sep = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    no_header: NoHeader = False,
    missing: Missing = None,
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
    as_json: AsJson = False,
    json_file: JsonFile = None,
    trace: Annotated[Path | None, optional("Write a trace for ui.perfetto.dev or chrome://tracing.")] = None,
    nsys: Annotated[
        bool, typer.Option("--nsys", help="Run under Nsight Systems, or print the command that does.")
    ] = False,
    ncu: Annotated[
        bool, typer.Option("--ncu", help="Run under Nsight Compute, or print the command that does.")
    ] = False,
) -> None:
    """accel-logreg profile --rows 1e6 --features 50

    Show where the time of a fit goes: stages, calls of the engine, kernels, passes over X.

    A question is one thing that the solver asks the engine, such as a gradient. A read of X is one pass over
    all of it. The machine's own ceilings are measured in the same run, and every time is set against them.
    """
    settings = Settings(backend, solver, C, tol, max_iter, seed=seed, n_threads=n_threads, repeats=repeats)
    if data is not None and (rows or features) is not None:
        raise ValueError("--data has its own rows and features: leave out --rows and --features")
    of_a_file = {
        "--target": target, "--drop": drop, "--sep": sep, "--encoding": encoding, "--decimal": decimal,
        "--no-header": no_header, "--missing": missing,
    }  # fmt: skip
    given = [f"{option} {value!r}" for option, value in of_a_file.items() if value]
    if data is None and given:
        raise ValueError(f"{', '.join(given)} is about a file: give the file with --data")
    n, d = ROWS.get(backend, MOST_ROWS), FEATURES
    n = n if rows is None else whole_number("--rows", rows)
    d = d if features is None else whole_number("--features", features)
    check_shape(n, d)
    if output is not None and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"--output {output} is a file; name a folder")
    json_file = None if json_file is None else standard_output(json_file)
    console = console_beside(json_file, trace, Path("/dev/stdout") if as_json else None)
    for option, path in (("--json-file", json_file), ("--trace", trace)):
        one_output(option, path, as_json)
        if path is not None:
            check_output(path, option=option)
    tools = [tool for tool, asked in ((nsight.SYSTEMS, nsys), (nsight.COMPUTE, ncu)) if asked]
    if tools:
        source = {"--rows": n, "--features": d} if data is None else {"--data": data, **of_a_file}
        written = {"--output": output, "--json": as_json, "--json-file": json_file, "--trace": trace}
        arguments = _arguments(settings, {**source, "--dtype": dtype.value, **written})
        raise typer.Exit(max(_run_tool(tool, arguments, output, backend) for tool in tools))
    problem = _made(n, d, dtype, settings) if data is None else _read(
        data, target, split(drop) or [], dtype, dialect(sep, encoding, decimal, no_header, missing)
    )  # fmt: skip
    result = run_profile(problem, settings, report=note)
    if as_json:
        typer.echo(report.to_json(result))
    else:
        _show(result, console)
    for path, text in ((json_file, report.to_json), (trace, report.to_trace)):
        if path is not None:
            with atomic_write(path) as stream:
                stream.write(text(result).encode())
            say(console, f"Written: {path}")
    if output is not None:
        _publish(result, output, console)


def _show(result: Profile, console: Console) -> None:
    facts(report.facts(result), console)
    console.print()
    for table in report.tables(result).values():
        show(console, table)
    for sentence in report.cautions(result):
        say(console, f"→ {sentence}")


def _read(data: Path, target: str | None, drop: list[str], dtype: Precision, how: Dialect) -> Problem:
    with waiting(f"reading {data}"):
        found = read_training_data(data, target=target, drop=drop, dtype=dtype.dtype, dialect=how, tell=note)
    assert found.y is not None
    if hasattr(found.X, "indptr"):
        raise ValueError(f"{data} is sparse, and what is profiled is dense: give dense data with --data")
    X: Any = found.X  # one dtype, which only the reader's type does not say
    return Problem(X, found.y, str(data))


def _made(n: int, d: int, dtype: Precision, settings: Settings) -> Problem:
    require_memory(n, d, dtype.value, settings.backend, settings.solver)
    note(f"making {n:,} × {d:,} {dtype.value}")
    return made_problem(n, d, dtype.value, settings.seed)


def _arguments(settings: Settings, others: Mapping[str, object]) -> list[str]:
    """The same command without --nsys and --ncu, every option that matters spelt out."""
    # Under a profiler the times mean little; one fit is what it shows.
    own = {f"--{name.replace('_', '-')}": value for name, value in asdict(settings).items()}
    options = {**own, "--repeats": 1, **others}
    return [text for name, value in options.items() for text in _spelt(name, value)]


def _spelt(name: str, value: object) -> list[str]:
    if value is None or isinstance(value, bool):
        return [name] if value else []
    values = value if isinstance(value, list) else [value]
    return [text for one in values for text in (name, str(one))]


def _run_tool(tool: nsight.Tool, arguments: list[str], output: Path | None, backend: BackendName) -> int:
    """Run the tool, or say how to; its exit code."""
    if tool is nsight.COMPUTE and backend != "cupy":
        raise ValueError(f"--ncu looks into CUDA kernels and --backend {backend} has none: use cupy")
    folder = Path() if output is None else output
    line = shlex.join(command := tool.command(arguments, folder, backend))
    if tool.path() is None:
        why = f"{tool.name} ({tool.executable}) was not found on PATH; it comes {tool.origin()}."
        out.print(f"{why} Where it is, this shows {tool.shows}:\n{line}", markup=False, soft_wrap=True)
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    note(line)
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        note(f"{tool.name} wrote {tool.report(folder)}")
    return code


def _publish(result: Profile, output: Path, console: Console) -> None:
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
    say(
        console,
        f"Written: {output / last}" + (", its pictures and figures beside it" if last == PAGE else ""),
    )
