"""``accel-logreg profile``: where the time of a fit goes, beside what this machine could do."""

from __future__ import annotations

import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from accel_logreg.cli.common import BackendName, Precision, facts, note, out, reports_errors
from accel_logreg.cli.train import Solver
from accel_logreg.files.atomic import atomic_write, publish
from accel_logreg.measure.table import say, show
from accel_logreg.profile import findings as profile_findings
from accel_logreg.profile import nsight
from accel_logreg.profile.problem import Problem, check_shape, made_problem, require_memory
from accel_logreg.profile.result import Profile, Settings
from accel_logreg.profile.run import run_profile
from accel_logreg.profile.trace import to_trace

PAGE, RESULTS = "profile.html", "profile.json"
FEATURES = 28
ROWS = {BackendName.PYTHON: 2_000}
MOST_ROWS = 1_000_000  # unless asked for: what the fast engines fit in a fraction of a second


@reports_errors
def profile(
    backend: Annotated[
        BackendName, typer.Option(help="The engine; auto: numba if it is there.")
    ] = BackendName.AUTO,
    rows: Annotated[
        str | None,
        typer.Option(
            help="Rows of the made problem, such as 200000 or 1e6; 1e6 if not given, python: 2000.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Features of the made problem; 28 if not given.", show_default=False)
    ] = None,
    dtype: Annotated[Precision, typer.Option(help="How X is stored; sums are float64.")] = Precision.FLOAT32,
    data: Annotated[
        Path | None,
        typer.Option(help="Profile a fit to this CSV, Parquet or NPZ file instead.", show_default=False),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="With --data: the column of the two classes (NPZ: the array).", show_default=False),
    ] = None,
    solver: Annotated[Solver, typer.Option(help="How the optimum is found.")] = Solver.AUTO,
    C: Annotated[float, typer.Option("--C", help="Inverse of the penalty's strength; 'inf' is none.")] = 1.0,
    tol: Annotated[float, typer.Option(help="Stop at this relative gap to the optimum.")] = 1e-8,
    max_iter: Annotated[
        int | None, typer.Option(help="Most iterations; the solver's own if not given.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the made problem and of the model's random_state.")] = 0,
    n_threads: Annotated[
        int | None, typer.Option(help="Threads of the engine; all cores if not given.", show_default=False)
    ] = None,
    repeats: Annotated[int, typer.Option(help="Fits with the profiler, and as many without.")] = 3,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the page, pictures and JSON.", show_default=False),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.", show_default=False)
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Write a trace for ui.perfetto.dev or chrome://tracing.", show_default=False),
    ] = None,
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
    settings = Settings(
        backend.value, solver.value, C, tol, max_iter, seed=seed, n_threads=n_threads, repeats=repeats
    )
    shape = _shape(rows, features, backend) if data is None else None
    _check(data, rows or features, target, output, json_file, trace)
    if nsys or ncu:
        arguments = _arguments(settings, dtype, shape, data, target, output, json_file, trace)
        tools = [tool for tool, asked in ((nsight.SYSTEMS, nsys), (nsight.COMPUTE, ncu)) if asked]
        raise typer.Exit(max(_run_tool(tool, arguments, output, backend) for tool in tools))
    if shape is None:
        assert data is not None
        problem = _read(data, target, dtype)
    else:
        require_memory(*shape, dtype.value, backend.value, solver.value)
        note(f"making {shape[0]:,} × {shape[1]:,} {dtype.value}")
        problem = made_problem(*shape, dtype.value, seed)
    result = run_profile(problem, settings, report=note)
    _print(result)
    _write(result, output, json_file, trace)


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


def _check(
    data: Path | None,
    shape: str | None,
    target: str | None,
    output: Path | None,
    json_file: Path | None,
    trace: Path | None,
) -> None:
    """Refuse what cannot be right, before anything is measured."""
    if data is not None and shape is not None:
        raise ValueError("--data has its own rows and features: leave out --rows and --features")
    if data is None and target is not None:
        raise ValueError(f"--target {target!r} names a column of a file: give the file with --data")
    if output is not None and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"--output {output} is a file; name a folder")
    for option, path in (("--json", json_file), ("--trace", trace)):
        if path is not None and path.is_dir():
            raise IsADirectoryError(f"{option} {path} is a folder; name a file in it")
        if path is not None and not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{option} {path}: the folder {path.absolute().parent} does not exist")


def _read(data: Path, target: str | None, dtype: Precision) -> Problem:
    from accel_logreg.files.tables import read_training_data

    found = read_training_data(data, target=target, dtype=dtype.dtype)
    assert found.y is not None
    X: Any = found.X  # one dtype, which only the reader's type does not say
    return Problem(X, found.y, str(data))


def _arguments(
    settings: Settings,
    dtype: Precision,
    shape: tuple[int, int] | None,
    data: Path | None,
    target: str | None,
    output: Path | None,
    json_file: Path | None,
    trace: Path | None,
) -> list[str]:
    """The same command without --nsys and --ncu, every option that matters spelt out."""
    options: dict[str, object | None] = {
        "--backend": settings.backend,
        "--rows": None if shape is None else shape[0],
        "--features": None if shape is None else shape[1],
        "--dtype": dtype.value,
        "--data": data,
        "--target": target,
        "--solver": settings.solver,
        "--C": settings.C,
        "--tol": settings.tol,
        "--max-iter": settings.max_iter,
        "--seed": settings.seed,
        "--n-threads": settings.n_threads,
        "--repeats": 1,  # under a profiler the times mean little; one fit is what it shows
        "--output": output,
        "--json": json_file,
        "--trace": trace,
    }
    return [text for name, value in options.items() if value is not None for text in (name, str(value))]


def _run_tool(tool: nsight.Tool, arguments: list[str], output: Path | None, backend: BackendName) -> int:
    """Run the tool, or say how to; its exit code."""
    if tool is nsight.COMPUTE and backend is not BackendName.CUPY:
        raise ValueError(f"--ncu looks into CUDA kernels and --backend {backend} has none: use cupy")
    folder = Path() if output is None else output
    line = nsight.command(tool, arguments, folder, backend.value)
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


def _print(result: Profile) -> None:
    facts(profile_findings.facts(result))
    out.print()
    for table in profile_findings.tables(result).values():
        show(out, table)
    for sentence in profile_findings.cautions(result):
        say(out, f"→ {sentence}")


def _write(result: Profile, output: Path | None, json_file: Path | None, trace: Path | None) -> None:
    for path, text in ((json_file, profile_findings.to_json), (trace, to_trace)):
        if path is not None:
            with atomic_write(path) as stream:
                stream.write(text(result).encode())
            say(out, f"Written: {path}")
    if output is not None:
        _publish(result, output)


def _publish(result: Profile, output: Path) -> None:
    """profile.json, and the pictures and the page where matplotlib and jinja2 are installed."""
    missing = [package for package in ("matplotlib", "jinja2") if find_spec(package) is None]
    contents = {RESULTS: profile_findings.to_json(result).encode()}
    if "matplotlib" not in missing:
        from accel_logreg.profile import plots as profile_plots

        pictures = {
            "roofline": profile_plots.roofline(result),
            "stages": profile_plots.timeline(result),
        }
        contents |= {f"{name}.svg": svg for name, svg in pictures.items()}
    if missing:
        packages = " and ".join(missing)
        note(f'{PAGE} is left out, {packages} missing: pip install "accel_logreg[lab]"')
        last = RESULTS
    else:
        from accel_logreg.profile.page import to_html

        contents[PAGE] = to_html(result, pictures).encode()
        last = PAGE
    publish(output, contents, last)
    say(out, f"Written: {output / last}" + (", its pictures and figures beside it" if last == PAGE else ""))
