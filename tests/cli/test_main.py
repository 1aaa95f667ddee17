"""The way into the command line, doctor, check and speedup: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from support.command_line import NUMPY, python, refused, run

from accel_logreg.cli import check, doctor


def test_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("doctor", "--no-bandwidth")
    assert result.exit_code == 0
    assert "numpy runs" in result.output
    found = json.loads(run("doctor", "--json", "--no-bandwidth").stdout)
    assert found["fast_engine"] is True
    assert found["machine"]["packages"]["numpy"] == np.__version__
    assert found["sections"][0]["title"] == "Engines"
    monkeypatch.setattr(doctor, "runs_fast", lambda: False)
    assert run("doctor", "--no-bandwidth").exit_code == 1


def test_check(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("check", *NUMPY)
    assert result.exit_code == 0
    assert "float32" in result.output
    result = run("check", table, "--target", "label", *NUMPY)
    assert result.exit_code == 0
    assert "120 rows of 3 features" in result.output
    monkeypatch.setattr(check, "SAMPLE_ENTRIES", 60)
    assert "20 rows of 3 features" in run("check", table, "--target", "label", *NUMPY).output
    monkeypatch.setattr(check, "GRAPH_LIMIT", 0.0)
    assert "4 gradients are beyond" in refused("check", *NUMPY, code=1)


def test_check_of_many_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More classes than rows that are looked at, some of one row: each is there."""
    rng = np.random.default_rng(0)
    y = np.append(np.arange(30), rng.integers(0, 20, 170))
    np.savez(tmp_path / "d.npz", X=rng.standard_normal((200, 4)), y=y)
    monkeypatch.setattr(check, "SAMPLE_ENTRIES", 60)
    result = run("check", tmp_path / "d.npz", *NUMPY)
    assert result.exit_code == 0
    assert "60 rows of 4 features" in result.output
    assert "float64  30 " in result.output


def test_speedup_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg.lesson import study

    asked: dict[str, object] = {}

    def run_study(size: study.StudySize, **options: object) -> None:
        asked.update(options, name=size.name, sizes=size.dot_sizes)

    monkeypatch.setattr(study, "run_study", run_study)
    options = ("--engines", "python, numpy", "--sizes", "10,1e3", "--dtype", "float32", "--quick")
    result = run("speedup", "--output", tmp_path, *options, "--n-threads", 1)
    assert result.exit_code == 0
    assert asked == {
        "output": tmp_path, "engines": ["python", "numpy"], "sizes": (10, 1000), "dtype": "float32",
        "name": "quick", "n_threads": 1,
    }  # fmt: skip
    for bad in ("ten", "inf", "1.5"):
        assert f"--sizes '{bad}' is not a whole number" in refused("speedup", "--sizes", bad)
    assert "sizes=[0] must be vector lengths from 1 up" in refused("speedup", "--sizes", "0")


def without(package: str, *arguments: str) -> CompletedProcess[str]:
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = {arguments!r}; "
        "from accel_logreg.cli.main import main; sys.exit(main())"
    )
    return python("-c", code)


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_what_every_command_needs(package: str) -> None:
    result = without(package)
    assert result.returncode == 1
    remedy = 'pip install "accel_logreg[lab]"'
    assert result.stderr == f"accel-logreg needs {package}, which is missing: {remedy}\n"


@pytest.mark.parametrize("package", ["typer", "numpy"])
def test_ctrl_c_while_packages_load_is_one_line(package: str) -> None:
    """Wherever it falls: here into the import of this package."""
    code = (
        "import sys, os, signal, importlib.abc\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {package!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from accel_logreg.cli.main import main; sys.exit(main())"
    )
    result = python("-c", code)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "accel-logreg: interrupted\n")


def test_the_library_needs_nothing_of_the_extra() -> None:
    absent = ["typer", "rich", "pyarrow", "PIL", "matplotlib", "jinja2", "skimage", "numba", "cupy"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import accel_logreg"
    result = python("-c", code + ", accel_logreg.files.tables, accel_logreg.files.images")
    assert (result.returncode, result.stderr) == (0, "")


def test_python_m(tmp_path: Path) -> None:
    result = run("--version")
    assert (result.exit_code, result.stderr) == (0, "")
    bad = python(
        "-m", "accel_logreg", "predict", str(tmp_path / "m.json"), "d.csv", "-o", str(tmp_path / "o.csv")
    )
    assert bad.returncode == 2
    assert bad.stderr == f"accel-logreg: {tmp_path / 'm.json'}: No such file or directory\n"


@pytest.mark.parametrize("command", ["doctor", "train", "predict", "probe", "speedup", "profile", "check"])
def test_every_option_has_a_help_text(command: str) -> None:
    from typer.main import get_command

    from accel_logreg.cli.app import app

    group: Any = get_command(app)
    assert run(command, "--help").exit_code == 0
    assert group.commands[command].help
    for parameter in group.commands[command].params:
        assert parameter.help, parameter.name
