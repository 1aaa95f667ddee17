"""``accel-logreg profile``: output, files and exit codes; and the commands of Nsight."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import refused, run
from support.profiles import given

from accel_logreg.profile import nsight
from accel_logreg.profile import run as profile_run

SMALL = ("--backend", "numpy", "--rows", "2e3", "--features", 5, "--repeats", 1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_run, "ceilings_of", given)


def test_tables_on_the_terminal() -> None:
    result = run("profile", *SMALL)
    assert result.exit_code == 0, result.output
    for text in ("2,000 × 5 float32", "Stages", "one fit", "loss_grad", "of fit", "memory", "100 GB/s"):
        assert text in result.stdout, text
    assert "note: making 2,000 × 5 float32" in result.stderr


def test_files(tmp_path: Path) -> None:
    folder, figures, trace = tmp_path / "a" / "b", tmp_path / "p.json", tmp_path / "t.json"
    result = run(
        "profile", *SMALL, "-o", folder, "--json-file", figures, "--trace", trace, "--dtype", "float64"
    )
    assert result.exit_code == 0, result.output
    assert {path.name for path in folder.iterdir()} == {
        "profile.html", "profile.json", "roofline.svg", "stages.svg",
    }  # fmt: skip
    assert json.loads(figures.read_text()) == json.loads((folder / "profile.json").read_text())
    assert json.loads(figures.read_text())["dtype"] == "float64"
    assert json.loads(trace.read_text())["traceEvents"]


def test_data_from_a_file(table: Path) -> None:
    result = run("profile", "--data", table, "--target", "label", "--backend", "numpy", "--repeats", 1)
    assert result.exit_code == 0, result.output
    assert "120 × 3 float32" in result.stdout
    options = ("--target", "label", "--drop", "b", "--backend", "numpy", "--repeats", 1, "--json-file", "-")
    result = run("profile", "--data", table, *options)
    assert json.loads(result.stdout)["n_features"] == 2
    assert "120 × 2 float32" in result.stderr
    result = run("profile", "--json", "--data", table, *options[:-2])
    assert json.loads(result.stdout)["n_features"] == 2
    assert "120 × 2 float32" not in result.stderr
    table.with_suffix(".svm").write_text("1 1:1\n0 2:1\n")
    assert "is sparse" in refused("profile", "--data", table.with_suffix(".svm"), "--backend", "numpy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", "1"), "rows=1 must be at least 2, one of each class"),
        (("--rows", "-3"), "rows=-3 must be at least 2"),
        (("--features", "0"), "features=0 must be at least 1"),
        (("--rows", "many"), "--rows 'many' is not a whole number; write it as 200000 or 2e5"),
        (("--rows", "1.5"), "--rows '1.5' is not a whole number"),
        (("--rows", "inf"), "--rows 'inf' is not a whole number"),
        (("--rows", "nan"), "--rows 'nan' is not a whole number"),
        (("--repeats", "0"), "repeats=0 must be at least 1"),
        (("--n-threads", "0"), "n_threads=0 must be at least 1"),
        (("--data", "x.csv", "--rows", "5"), "--data has its own rows and features"),
        (("--target", "y"), "--target 'y' is about a file"),
        (("--json-file", "no/such/folder/f.json"), "--json-file no/such/folder/f.json: the folder"),
        (("--trace", "."), "--trace . is a folder; name a file in it"),
        (("--backend", "fortran"), "'fortran' is not one of"),
        (("--solver", "magic"), "'magic' is not one of"),
        (("--dtype", "float16"), "'float16' is not one of"),
        (("--tol", "-1"), "tol=-1.0"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    words = " ".join(refused("profile", "--backend", "numpy", *arguments).replace("│", " ").split())
    assert message in words


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "here"
    path.write_text("x")
    assert "is a file; name a folder" in refused("profile", *SMALL, "-o", path)
    assert path.read_text() == "x"


def test_an_engine_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg.backends import BackendUnavailableError

    def missing(*_args: object) -> None:
        raise BackendUnavailableError("cupy", "No device.", "Buy one.")

    monkeypatch.setattr(profile_run, "resolve", missing)
    message = refused("profile", "--backend", "cupy", "--rows", "100")
    assert "backend='cupy' cannot run here: No device. Buy one." in message


def test_a_problem_larger_than_the_memory() -> None:
    message = refused("profile", "--backend", "numpy", "--rows", "1e12", "--features", "1000", code=1)
    assert "1,000,000,000,000 rows of 1,000 features in float32 need about" in message
    assert "Use fewer --rows or fewer --features" in message


# ---- without rich, without what draws -----------------------------------------------------------------


def in_a_new_process(missing: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command where these packages are not installed, ceilings given."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); "
        f"sys.modules.update(dict.fromkeys({missing.split()!r})); "
        f"sys.argv[1:] = {['profile', *map(str, arguments)]!r}; "
        "from support.profiles import given; from accel_logreg.profile import run as profile_run; "
        "profile_run.ceilings_of = given; from accel_logreg.cli.main import main; sys.exit(main())"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("package", "files"),
    [("jinja2", {"profile.json", "roofline.svg", "stages.svg"}), ("matplotlib", {"profile.json"})],
)
def test_what_cannot_be_drawn_is_left_out_and_named(package: str, files: set[str], tmp_path: Path) -> None:
    result = in_a_new_process(package, *SMALL, "-o", tmp_path)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == files
    assert f"note: profile.html is left out, {package} missing: pip install" in result.stderr


# ---- Nsight -------------------------------------------------------------------------------------------


def test_the_exact_command_where_nsight_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    asked = ("--backend", "cupy", "--rows", "1e6", "--features", 28, "--tol", "1e-6", "--output", "my report")
    result = run("profile", *asked, "--nsys", "--ncu")
    assert result.exit_code == 0, result.output
    said, systems, also, compute = result.stdout.splitlines()
    assert said.startswith("Nsight Systems (nsys) was not found on PATH; it comes with the CUDA Toolkit")
    assert also.startswith("Nsight Compute (ncu) was not found on PATH; it comes with the CUDA Toolkit")
    ours = [
        sys.executable, "-m", "accel_logreg", "profile", "--backend", "cupy", "--solver", "auto",
        "--C", "1.0", "--tol", "1e-06", "--seed", "0", "--repeats", "1", "--rows", "1000000",
        "--features", "28", "--dtype", "float32", "--output", "my report",
    ]  # fmt: skip
    assert shlex.split(systems) == [
        "nsys", "profile", "--trace", "cuda,nvtx,osrt", "--force-overwrite", "true",
        "--output", "my report/profile-nsys", *ours,
    ]  # fmt: skip
    assert shlex.split(compute) == [
        "ncu", "--set", "full", "--nvtx", "--nvtx-include", "profiled fit/", "--target-processes", "all",
        "--force-overwrite", "--export", "my report/profile-ncu", *ours,
    ]  # fmt: skip


def test_the_printed_command_is_one_that_this_command_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    line = run("profile", *SMALL, "--nsys").stdout.splitlines()[1]
    arguments = shlex.split(line)
    again = arguments[arguments.index("accel_logreg") + 1 :]
    assert "--trace nvtx,osrt" in line  # no CUDA to look for on a host engine
    assert run(*again).exit_code == 0


def test_nsight_is_run_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nsys"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/asked"\nexit 3\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nsight.SYSTEMS.path() == str(tool)
    result = run("profile", *SMALL, "--nsys", "-o", tmp_path / "out")
    assert result.exit_code == 3  # the tool's own
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "profile"
    assert asked[-2:] == ["--output", str(tmp_path / "out")]
    assert (tmp_path / "out").is_dir()


def test_nsight_compute_needs_kernels() -> None:
    assert "--backend numpy has none: use cupy" in refused("profile", *SMALL, "--ncu")


@pytest.mark.parametrize(("text", "rows"), [("70", 70), ("2.5e2", 250)])
def test_numbers_of_rows_may_have_an_exponent(text: str, rows: int) -> None:
    output = run("profile", "--rows", text, "--features", 3, "--backend", "numpy", "--repeats", 1).output
    assert f"{rows} × 3" in output
