"""Running the command line inside the tests, and the data files that several of them need."""

from __future__ import annotations

import csv
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MISSING = "the command line needs it: pip install 'accel_logreg[lab]'"
testing = pytest.importorskip("typer.testing", reason=MISSING)
Image = pytest.importorskip("PIL.Image", reason=MISSING)
for _package in ("rich", "pyarrow"):
    pytest.importorskip(_package, reason=MISSING)

NUMPY = ("--backend", "numpy")
_OF_A_CHECKOUT: dict[object, str] = {
    "compare": "bench.compare.__main__",
    "kernels": "bench.kernels_report.__main__",
}


def run(*arguments: object) -> Any:
    """The command's result; anything but an orderly exit fails the test here."""
    from accel_logreg.cli.app import app

    if arguments[0] in _OF_A_CHECKOUT:
        app = import_module(_OF_A_CHECKOUT[arguments[0]]).app
        arguments = arguments[1:]
    result = testing.CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*arguments: object, code: int = 2) -> str:
    """Standard error of a command that must fail with this code and say why in words."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return str(result.stderr)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def write_table(folder: Path) -> Path:
    """120 rows of a, b, c and the label yes/no."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 3))
    y = np.where(X @ [1.0, -2.0, 0.5] + rng.standard_normal(120) > 0, "yes", "no")
    path = folder / "data.csv"
    rows = "".join(",".join(map(repr, row)) + f",{label}\n" for row, label in zip(X.tolist(), y, strict=True))
    path.write_text(f"a,b,c,label\n{rows}")
    return path


def train_model(folder: Path) -> Path:
    """A model of that table."""
    path = folder / "model.json"
    assert run("train", write_table(folder), "--target", "label", "-o", path, *NUMPY).exit_code == 0
    return path


def write_pictures(folder: Path) -> Path:
    """Ten bright and ten dark pictures, 5 × 5."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 100), ("dark", 0)):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(low, low + 150, (5, 5, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{i}.png")
    return folder / "pictures"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
