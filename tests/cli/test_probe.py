"""accel-logreg probe: what it prints and writes, and one message instead of a traceback."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import NUMPY, python, refused, rows_of, run

from accel_logreg import linear_probe, load_model
from accel_logreg.cli import probe as cli_probe


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """200 embeddings of 6 numbers and three classes; one class of a single row."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((200, 6)).astype(np.float32)
    y = np.array(["ash", "birch", "oak"])[(X[:, :3] + 0.5 * rng.gumbel(size=(200, 3))).argmax(axis=1)]
    y[0] = "yew"
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "y.txt").write_text("".join(f"{label}\n" for label in y))
    return tmp_path / "X.npy", tmp_path / "y.txt"


def test_probe_is_the_library(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, picture, figures = (tmp_path / name for name in ("m.json", "p.png", "f.json"))
    options = ("--Cs", "1,0.01", "-o", model, "--picture", picture, "--json-file", figures, "--seed", 4)
    result = run("probe", *files, *options, *NUMPY)
    assert result.exit_code == 0
    X, y = np.load(files[0]), np.array(files[1].read_text().split())
    expected = linear_probe(X, y, Cs=[1.0, 0.01], random_state=4, backend="numpy")
    assert "200 × 6 float32, 4 classes: 160 rows to fit, 40 held out" in result.output.replace("\n", " ")
    for words in (f"best C          {expected.best.C:g}, held-out accuracy {expected.best.accuracy:.4f}",
                  "fitted to all rows", str(model), str(picture)):  # fmt: skip
        assert words in result.output
    np.testing.assert_array_equal(load_model(model).coef_, expected.model.coef_)
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    assert (found["best_C"], found["classes"]) == (expected.best.C, ["ash", "birch", "oak", "yew"])
    assert [point["accuracy"] for point in found["points"]] == [point.accuracy for point in expected.points]
    unbounded = replace(expected, points=(replace(expected.best, gap=float("inf")),))
    assert json.loads(cli_probe.to_json(unbounded))["points"][0]["gap"] is None


def test_figures_to_standard_output(files: tuple[Path, Path]) -> None:
    """Nothing else goes there; and a list of C takes commas and repeats."""
    for how in (("--json",), ("--json-file", "-")):
        result = run("probe", *files, "--Cs", "1", "--Cs", "0.1,10", *how, *NUMPY)
        assert [point["C"] for point in json.loads(result.stdout)["points"]] == [0.1, 1.0, 10.0]
        assert ("best C" in result.stderr) == (len(how) == 2)


def test_the_model_predicts_embeddings(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, out = tmp_path / "m.npz", tmp_path / "out.csv"
    assert run("probe", *files, "--Cs", "1", "-o", model, *NUMPY).exit_code == 0
    assert run("predict", model, files[0], "-o", out).exit_code == 0
    found, X = rows_of(out), np.load(files[0])
    assert [row["predicted"] for row in found] == load_model(model).predict(X).tolist()
    oak = np.array([row["probability_oak"] for row in found], dtype=float)
    np.testing.assert_array_equal(oak, load_model(model).predict_proba(X)[:, 2])


def test_other_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    X, y = np.load(files[0]), np.array(files[1].read_text().split())
    np.savez(tmp_path / "d.npz", X=X, y=y)
    np.save(tmp_path / "half.npy", X.astype(np.float16))
    (tmp_path / "X.csv").write_text("a,b\n" + "".join(f"{row[0]},{row[1]}\n" for row in X.tolist()))
    for arguments, words in (
        ((tmp_path / "d.npz",), "200 × 6 float32"),
        ((tmp_path / "X.csv", files[1]), "200 × 2 float64"),
        ((tmp_path / "half.npy", files[1]), "half.npy holds float16: copied into memory as float32"),
    ):
        result = run("probe", *arguments, "--Cs", "1", *NUMPY)
        assert result.exit_code == 0
        assert words in result.output + result.stderr
    test = ("--test-X", files[0], "--test-y", files[1])
    result = run("probe", tmp_path / "d.npz", *test, "--Cs", "1", "--tol", "1e-3", *NUMPY)
    assert "200 rows to fit, 200 held out" in result.output.replace("\n", " ")
    assert "fitted to 200 rows" in result.output


def test_without_a_refit(files: tuple[Path, Path]) -> None:
    assert "fitted to 160 rows" in run("probe", *files, "--Cs", "1", "--no-refit", *NUMPY).output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--Cs", "1,x"], "--Cs '1,x' must be numbers above 0 by commas"),
        (["--Cs", "0.1,-1"], "Cs holds -1.0; each must be finite and above 0"),
        (["--Cs", "0"], "Cs=0 must be a count of at least 1"),
        (["--held-out", "1.5"], "held_out=1.5 must be a share"),
        (["--test-X", "X.npy"], "--test-X and --test-y go together"),
        (["--max-iter", "-1"], "max_iter=-1"),
        (["--output", "model.pkl"], "must end in one of .json, .npz"),
        (["--picture", "p.gif"], "must end in one of .png, .svg, .pdf"),
        (["--json-file", "nowhere/f.json"], "does not exist; make it first"),
        (["--json", "--json-file", "-"], "both write to standard output; give --json-file a file"),
    ],
)
def test_probe_refuses(files: tuple[Path, Path], tmp_path: Path, options: list[str], message: str) -> None:
    before = sorted(tmp_path.iterdir())
    assert message in refused("probe", *files, "-o", tmp_path / "m.json", *NUMPY, *options)
    assert sorted(tmp_path.iterdir()) == before


def test_probe_refuses_data_it_cannot_use(files: tuple[Path, Path], tmp_path: Path) -> None:
    X, y = files
    assert "none.npy: No such file" in refused("probe", tmp_path / "none.npy", y)
    assert "none.txt: No such file" in refused("probe", X, tmp_path / "none.txt")
    assert "holds no labels: name the file of labels after it" in refused("probe", X)
    y.write_text("label\n" + y.read_text())
    assert "has 201 labels and" in refused("probe", X, y)
    y.write_text("a\n" * 200)
    assert "only one class, 'a'" in refused("probe", X, y)
    broken = np.load(X)
    broken[7, 2] = np.nan
    np.save(X, broken)
    assert "first in row 7: nan in column 2" in refused("probe", X, y)


def test_ctrl_c_writes_nothing(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_probe, "linear_probe", interrupt)
    assert "interrupted" in refused("probe", *files, "-o", tmp_path / "m.json", *NUMPY, code=130)
    assert not (tmp_path / "m.json").exists()


def test_a_picture_needs_matplotlib_and_says_so_first(files: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = ["probe", *map(str, files), "--picture", str(tmp_path / "p.png")]
    code = f"import sys; sys.modules['matplotlib'] = None; sys.argv[1:] = {arguments!r}; "
    result = python("-c", code + "from accel_logreg.cli.main import main; sys.exit(main())")
    assert result.returncode == 1
    assert 'needs matplotlib, which is missing: pip install "accel_logreg[lab]"' in result.stderr
