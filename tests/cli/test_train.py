"""accel-logreg train: what it prints and writes, and one message instead of a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.model_selection import train_test_split
from support.command_line import NUMPY, refused, run

from accel_logreg import LogisticRegression, load_model
from accel_logreg.cli import train as cli_train


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_train_says_what_it_did(table: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    result = run("train", table, "--target", "label", "--output", path, "--test-fraction", 0.25, *NUMPY)
    assert result.exit_code == 0
    for words in ("120 × 3 float64", "no, yes", "numpy, newton", "nats", str(path)):
        assert words in result.output
    assert load_model(path).gap_ <= 1e-8


def test_train_is_the_library(table: Path, model: Path, tmp_path: Path) -> None:
    data = np.genfromtxt(table, delimiter=",", skip_header=1, usecols=(0, 1, 2))
    y = np.genfromtxt(table, delimiter=",", skip_header=1, usecols=3, dtype=str)
    expected = LogisticRegression(backend="numpy", random_state=0).fit(data, y)
    np.testing.assert_array_equal(load_model(model).coef_, expected.coef_)
    options = ("--C", "inf", "--tol", "1e-4", "--class-weight", "balanced", "--n-threads", 1, "--seed", 7)
    path = tmp_path / "other.npz"
    assert run("train", table, "--target", "label", "-o", path, *options, *NUMPY).exit_code == 0
    loaded = load_model(path)
    assert loaded.get_params() == expected.get_params() | {
        "C": float("inf"), "tol": 1e-4, "class_weight": "balanced", "n_threads": 1, "random_state": 7
    }  # fmt: skip


def test_what_a_model_is_worth(table: Path, tmp_path: Path) -> None:
    """Scores of rows that the fit has not seen; the saved model has seen them, unless asked not to."""
    arguments = ("train", table, "--target", "label", "-o", tmp_path / "m.json", *NUMPY)
    found = json.loads(run(*arguments, "--json").stdout)
    train, test = found["scores"]
    assert (train["name"], train["rows"], test["name"], test["rows"]) == ("train", 96, "test", 24)
    assert (found["scored"], found["fitted_to"]) == (96, 120)
    assert [one["name"] for one in found["coefficients"]] == ["b", "a", "c"]
    kept = json.loads(run(*arguments, "--json", "--no-refit").stdout)
    assert kept["scores"] == found["scores"]
    assert kept["fitted_to"] == 96
    data = np.genfromtxt(table, delimiter=",", skip_header=1, usecols=(0, 1, 2))
    y = np.genfromtxt(table, delimiter=",", skip_header=1, usecols=3, dtype=str)
    X, X_test, y, y_test = train_test_split(data, y, test_size=0.2, stratify=y, random_state=0)
    expected = LogisticRegression(backend="numpy", random_state=0).fit(X, y)
    np.testing.assert_array_equal(load_model(tmp_path / "m.json").coef_, expected.coef_)
    assert test["accuracy"] == expected.score(X_test, y_test)
    none = run(*arguments, "--test-size", 0)
    assert "Confusion matrix, train" in none.output
    assert "fitted to 120 rows" in none.output


def test_too_few_rows_to_hold_any_out(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,t\n" + "".join(f"{i},{'u' if i < 3 else 'v'}\n" for i in range(9)))
    arguments = ("train", path, "--target", "t", "-o", tmp_path / "m.json", *NUMPY)
    assert "the scores are of the rows that were fitted" in run(*arguments).stderr
    assert "--test-size 0.1 cannot be" in refused(*arguments, "--test-size", 0.1)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_page(tmp_path: Path, classes: int) -> None:
    """Whole in itself, and what a user's names hold is neither markup nor a formula."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 2))
    y = np.array(["_no", "$y$", "<b>"])[:classes][(X[:, 0] * 2).astype(int).clip(0, classes - 1)]
    path, page = tmp_path / "d.csv", tmp_path / "page.html"
    rows = "".join(f"{a},{b},{label}\n" for (a, b), label in zip(X.tolist(), y, strict=True))
    path.write_text("$x_1$,<i>,t\n" + rows)
    result = run("train", path, "--target", "t", "-o", tmp_path / "m.json", "--report", page, *NUMPY)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.count("<figure>") == 4
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "<i>" not in text
    assert "$x_1$" in text
    assert "must end in one of .html" in refused(
        "train", path, "--target", "t", "-o", tmp_path / "m.json", "--report", tmp_path / "page.pdf", *NUMPY
    )


@pytest.mark.filterwarnings("ignore:gradient-descent stopped")
def test_train_by_gradient_descent_in_float32(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    options = ("--solver", "gradient-descent", "--learning-rate", 0.5, "--max-iter", 50, "--dtype", "float32")
    result = run("train", table, "--target", "label", "-o", path, *options, *NUMPY)
    assert result.exit_code == 0
    assert "120 × 3 float32" in result.output
    assert load_model(path).n_iter_.tolist() == [50]


@pytest.mark.parametrize("labels", [[0, 1], [True, False], ["u", "v"]])
def test_train_on_parquet_and_npz(tmp_path: Path, labels: list[object]) -> None:
    import pyarrow as pa

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 2)), np.array(labels)[rng.integers(0, 2, 30)]
    pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1], "t": y}), tmp_path / "d.parquet")
    np.savez(tmp_path / "d.npz", X=X, t=y)
    for name in ("d.parquet", "d.npz"):
        assert run("train", tmp_path / name, "--target", "t", "-o", tmp_path / "m.npz", *NUMPY).exit_code == 0
        loaded = load_model(tmp_path / "m.npz")
        assert sorted(loaded.classes_.tolist()) == sorted(labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "lable"], "did you mean 'label'?"),
        ([], "--target COLUMN"),
        (["--target", "a"], "which are no classes"),
        (["--target", "c", "--dtype", "float32"], "which are no classes"),
        (["--target", "label", "--C", "-1"], "C=-1.0 must be above 0"),
        (["--target", "label", "--max-iter", "-1"], "max_iter=-1"),
        (["--target", "label", "--learning-rate", "fast"], "'fast' is neither a number nor 'auto'"),
        (["--target", "label", "--test-fraction", "1.5"], "must lie between 0 and 1"),
        (["--target", "label", "--features", "z"], "no column 'z'"),
        (["--target", "label", "--backend", "jax"], "jax"),
        (["--target", "label", "--dtype", "float16"], "float16"),
        (["--target", "label", "--output", "model.pkl"], "must end in one of .json, .npz"),
        (["--target", "label", "--output", "nowhere/model.json"], "does not exist; make it first"),
    ],
)
def test_train_refuses(table: Path, tmp_path: Path, options: list[str], message: str) -> None:
    assert message in refused("train", table, "-o", tmp_path / "model.json", *NUMPY, *options)
    assert not (tmp_path / "model.json").exists()


def test_train_refuses_data_it_cannot_use(tmp_path: Path) -> None:
    path, out = tmp_path / "d.csv", tmp_path / "m.json"
    assert "d.csv" in refused("train", path, "--target", "t", "-o", out)
    for text, message in (
        ("a,t\n1,u\n2,u\n", "only one class"),
        ("a,t\n1,u\n,v\n", "missing values in 'a': 1"),
        ("a,b,t\n1,x,u\n2,y,v\n", "'b' (string) has 2 different values in 2 rows"),
    ):
        path.write_text(text)
        assert message in refused("train", path, "--target", "t", "-o", out, *NUMPY)
    out.mkdir()
    assert "is a folder; name a file in it" in refused("train", path, "--target", "t", "-o", out)


def test_ctrl_c_leaves_the_old_model(table: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.read_bytes()
    arguments = ("train", table, "--target", "label", "-o", model, "--C", 0.1, *NUMPY)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cli_train.LogisticRegression, "fit", interrupt)
        assert "interrupted" in refused(*arguments, code=130)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        assert "interrupted" in refused(*arguments, code=130)
    assert model.read_bytes() == before
    assert sorted(file.name for file in model.parent.iterdir()) == ["data.csv", "model.json"]
