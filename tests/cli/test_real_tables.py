"""Tables as people have them, from training to prediction: kinds of file, categories, ids, gaps, streams."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.compose import make_column_transformer
from sklearn.datasets import dump_svmlight_file
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from support.command_line import NUMPY, refused, rows_of, run, testing

from accel_logreg import LogisticRegression, load_model, load_pipeline
from accel_logreg.cli.app import app

pandas = pytest.importorskip("pandas", reason="scikit-learn's own columns need it: pip install pandas")
N = 90


@pytest.fixture
def frame() -> Any:
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.standard_normal((N, 2)).round(3), columns=["a", "b"])
    frame["colour"] = rng.choice(["red", "grün", "blau"], N)
    z = frame.a - 2 * frame.b + (frame.colour == "red") + rng.standard_normal(N)
    frame["kind"] = np.where(z > 0, "yes", "no")
    frame.insert(0, "id", 10**17 + np.arange(N))
    return frame


def trained(path: Path, *options: object) -> tuple[Any, Path]:
    model = path.parent / "model.json"
    result = run("train", path, "--target", "kind", "-o", model, *NUMPY, *options)
    assert result.exit_code == 0, result.output
    return result, model


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("d.csv", {"sep": ";", "decimal": ",", "encoding": "utf-8-sig"}),
        ("d.csv", {"sep": "|", "encoding": "utf-16"}),
        ("d.tsv", {"sep": "\t"}),
        ("d.csv", {"sep": "\t"}),
        ("d.csv.gz", {}),
        ("d.jsonl", {}),
        ("d.parquet", {}),
    ],
    ids=str,
)
def test_every_kind_of_table_is_the_same(tmp_path: Path, frame: Any, name: str, how: dict[str, str]) -> None:
    path = tmp_path / name
    if name == "d.jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    elif name == "d.parquet":
        frame.astype({"colour": "category"}).to_parquet(path)
    else:
        frame.to_csv(path, index=False, **how)
    result, model = trained(path, "--id", "id")
    expected = make_pipeline(
        make_column_transformer(("passthrough", ["a", "b"]), (OneHotEncoder(), ["colour"])),
        LogisticRegression(backend="numpy", random_state=0),
    ).fit(frame, frame.kind)
    np.testing.assert_allclose(
        load_pipeline(model).predict_proba(frame), expected.predict_proba(frame), atol=1e-13
    )
    assert "one-hot: colour (3 levels)" in result.output
    if "sep" in how and how["sep"] in ";|":
        assert f"is read with --sep '{how['sep']}'" in result.stderr
    run("predict", model, path, "-o", tmp_path / "o.csv")
    found = rows_of(tmp_path / "o.csv")
    assert [int(row["id"]) for row in found] == frame.id.tolist()
    assert [row["predicted"] for row in found] == expected.predict(frame).tolist()


def test_ids_are_carried_through_where_they_are(tmp_path: Path, frame: Any) -> None:
    path, out = tmp_path / "d.csv", tmp_path / "o.csv"
    frame.to_csv(path, index=False)
    _, model = trained(path, "--id", "id,colour")
    run("predict", model, path, "-o", out, "--id", "colour")
    assert list(rows_of(out)[0]) == ["colour", "predicted", "probability_no", "probability_yes"]
    frame.drop(columns="id").rename(columns={"colour": "predicted"}).to_csv(path, index=False)
    run("predict", model, path, "-o", out)  # new data need no ids
    assert list(rows_of(out)[0]) == ["predicted", "probability_no", "probability_yes"]
    assert "no column 'id'" in refused("predict", model, path, "-o", out, "--id", "id")
    message = refused("predict", model, path, "-o", out, "--id", "predicted")
    assert "'predicted' is also what predictions are called" in message


def test_gbk_shows_what_it_could_be(tmp_path: Path, frame: Any) -> None:
    path = tmp_path / "d.csv"
    frame.replace({"colour": {"grün": "绿"}}).rename(columns={"a": "数"}).to_csv(
        path, index=False, encoding="gbk"
    )
    message = refused("train", path, "--target", "kind", "-o", tmp_path / "m.json", *NUMPY)
    assert "'id,数,b,colour,kind' with --encoding gb18030" in message
    _, model = trained(path, "--id", "id", "--encoding", "gb18030")
    assert load_pipeline(model)[0].get_feature_names_out()[:2].tolist() == ["数", "b"]


def test_filled_in_and_standardized(tmp_path: Path, frame: Any) -> None:
    path = tmp_path / "d.csv"
    frame.loc[3, "a"] = None
    frame.loc[5, "colour"] = None
    frame.to_csv(path, index=False)
    message = refused("train", path, "--target", "kind", "--id", "id", "-o", tmp_path / "m.json", *NUMPY)
    assert "missing values in 'a': 1, 'colour': 1" in message
    assert "accel-logreg train --impute mean" in message
    result, model = trained(path, "--id", "id", "--impute", "median", "--standardize")
    assert "missing values filled in" in result.output
    assert "standardized: 2 columns" in result.output
    filled = frame.fillna({"colour": frame.colour.mode()[0]})
    expected = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["a", "b"]),
            (OneHotEncoder(), ["colour"]),
        ),
        LogisticRegression(backend="numpy", random_state=0),
    ).fit(filled, frame.kind)
    run("predict", model, path, "-o", tmp_path / "o.csv")
    probability = [float(row["probability_yes"]) for row in rows_of(tmp_path / "o.csv")]
    np.testing.assert_allclose(probability, expected.predict_proba(filled)[:, 1], atol=1e-13)
    with pytest.warns(UserWarning, match="load_pipeline"):
        load_model(model)


def test_levels_that_the_model_does_not_know(tmp_path: Path, frame: Any) -> None:
    path = tmp_path / "d.csv"
    frame.to_csv(path, index=False)
    _, model = trained(path, "--drop", "id")
    frame.loc[0, "colour"] = "pink"
    frame.to_csv(path, index=False)
    result = run("predict", model, path, "-o", tmp_path / "o.csv")
    assert result.exit_code == 0
    assert "the model knows no level 'pink' of 'colour'" in result.stderr


def test_categories_that_are_numbers(tmp_path: Path, frame: Any) -> None:
    """007 stays 007, where the model meets it again too."""
    path = tmp_path / "d.csv"
    frame["zip"] = np.where(frame.b > 0, "007", "08")
    frame.drop(columns="colour").to_csv(path, index=False)
    result, model = trained(path, "--drop", "id", "--categories", "zip")
    assert "one-hot: zip (2 levels)" in result.output
    assert load_pipeline(model)[0].get_feature_names_out().tolist() == ["a", "b", "zip_007", "zip_08"]
    result = run("predict", model, path, "-o", tmp_path / "o.csv")
    assert "knows no level" not in result.stderr


@pytest.mark.filterwarnings("ignore:newton stopped")
def test_what_looks_wrong_is_told(tmp_path: Path, frame: Any) -> None:
    path = tmp_path / "d.csv"
    frame["paid"] = (frame.kind == "yes") * 3.0
    frame.drop(columns="colour").to_csv(path)
    with_warnings = run("train", path, "--target", "kind", "-o", tmp_path / "m.json", *NUMPY)
    for words in (
        "'Unnamed: 0' counts the rows, as an index does. Leave it out: --drop 'Unnamed: 0'",
        "'id' holds whole numbers beyond 2^53",
        "'paid' alone tells the classes apart",
    ):
        assert words in with_warnings.stderr
    result, _ = trained(path, "--drop", "Unnamed: 0,paid", "--id", "id")
    assert result.stderr == ""


def test_without_a_header(tmp_path: Path, frame: Any) -> None:
    path = tmp_path / "d.csv"
    frame[["a", "b", "kind"]].to_csv(path, index=False, header=False)
    message = refused("train", path, "--target", "kind", "-o", tmp_path / "m.json", *NUMPY)
    assert "first line looks like data" in message
    assert "--no-header" in message
    model = tmp_path / "m.json"
    assert run("train", path, "--target", "f2", "--no-header", "-o", model, *NUMPY).exit_code == 0
    assert run("predict", model, path, "--no-header", "-o", tmp_path / "o.csv").exit_code == 0


@pytest.mark.parametrize("zero_based", [True, False])
def test_svmlight(tmp_path: Path, zero_based: bool) -> None:
    rng = np.random.default_rng(0)
    X = sp.random(60, 9, density=0.4, random_state=0, format="csr")
    y = (X @ rng.standard_normal(9) > 0).astype(int)
    dump_svmlight_file(X, y, str(tmp_path / "d.svm"), zero_based=zero_based)
    model = tmp_path / "m.npz"
    result = run("train", tmp_path / "d.svm", "-o", model, *NUMPY)
    assert "60 × 9 float64 (sparse)" in result.output
    expected = LogisticRegression(backend="numpy", random_state=0).fit(sp.csr_matrix(X), y)
    np.testing.assert_allclose(load_model(model).coef_, expected.coef_, atol=1e-6)
    # Fewer columns than the model has, and none of number 0: the model's file knows how they are counted.
    first = 0 if zero_based else 1
    (tmp_path / "new.svm").write_text(f"1 {first + 1}:1\n0 {first + 2}:1\n")
    result = run("predict", model, tmp_path / "new.svm", "-o", tmp_path / "o.npz")
    assert "Scores" in result.output
    with np.load(tmp_path / "o.npz") as found:
        rows = np.eye(9)[1:3]
        np.testing.assert_allclose(found["probability_1"], expected.predict_proba(rows)[:, 1], atol=1e-6)


def test_sparse_npz_and_npy_with_labels(tmp_path: Path) -> None:
    X = sp.random(60, 9, density=0.4, random_state=0, format="csr")
    y = (X[:, [0]].toarray().ravel() > 0.2).astype(int)
    sp.save_npz(tmp_path / "s.npz", X)
    np.save(tmp_path / "x.npy", X.toarray())
    (tmp_path / "y.txt").write_text("".join(f"{label}\n" for label in y))
    labels = ("--labels", tmp_path / "y.txt")
    weights = []
    for name in ("s.npz", "x.npy"):
        assert "--labels FILE" in refused("train", tmp_path / name, "-o", tmp_path / "m.json", *NUMPY)
        result = run("train", tmp_path / name, *labels, "-o", tmp_path / "m.json", "--tol", 1e-12, *NUMPY)
        assert result.exit_code == 0
        weights.append(load_model(tmp_path / "m.json").coef_)
        scored = run("predict", tmp_path / "m.json", tmp_path / name, *labels, "-o", tmp_path / "o.csv")
        assert "Confusion matrix, data" in scored.output
    np.testing.assert_allclose(*weights, atol=1e-6)
    assert run("check", tmp_path / "s.npz", *NUMPY).exit_code == 2
    message = refused("train", tmp_path / "x.npy", *labels, "--standardize", "-o", tmp_path / "m.json")
    assert "for tables with named columns" in message


def test_standard_input_and_output(tmp_path: Path, frame: Any) -> None:
    """What goes through a pipe has no name: its first bytes say what it is. Nothing else goes to stdout."""
    path = tmp_path / "d.csv"
    frame.drop(columns="id").to_csv(path, index=False)
    frame.drop(columns="id").to_parquet(tmp_path / "d.parquet")
    options = ["--target", "kind", *NUMPY]
    _, model = trained(path)
    expected = json.loads(model.read_text())["arrays"]["coef_"]
    for data in (path.read_bytes(), gzip.compress(path.read_bytes()), (tmp_path / "d.parquet").read_bytes()):
        result = testing.CliRunner().invoke(app, ["train", "-", *options, "-o", "-"], input=data)
        assert json.loads(result.stdout)["arrays"]["coef_"] == expected
        assert "ROC AUC" in result.stderr
        answers = testing.CliRunner().invoke(app, ["predict", str(model), "-", "-o", "-"], input=data)
        assert answers.stdout.startswith('"predicted","probability_no","probability_yes"\n"')
        assert answers.stdout.count("\n") == N + 1
    assert "give --output a file" in refused("train", path, *options, "--json", "-o", "-")


def test_a_named_pipe_and_its_reader(tmp_path: Path, frame: Any) -> None:
    path, pipe = tmp_path / "d.csv", tmp_path / "pipe"
    frame.drop(columns="id").to_csv(path, index=False)
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    assert run("train", path, "--target", "kind", "-o", pipe, *NUMPY).exit_code == 0
    reader.join(10)
    assert json.loads(got[0])["format"] == "accel_logreg model"
    assert pipe.is_fifo()


def test_the_real_standard_output(tmp_path: Path, frame: Any) -> None:
    """In a process of its own, whose standard output is a regular file that is not replaced."""
    path = tmp_path / "d.csv"
    frame.drop(columns="id").to_csv(path, index=False)
    command = [sys.executable, "-m", "accel_logreg", "train", path, "--target", "kind", *NUMPY]
    with (tmp_path / "m.json").open("wb") as out:
        number = out.fileno()
        before = os.fstat(number).st_ino
        subprocess.run([*command, "-o", "/dev/stdout"], stdout=out, stderr=subprocess.DEVNULL, check=True)
    assert (tmp_path / "m.json").stat().st_ino == before
    load_pipeline(tmp_path / "m.json")


@pytest.mark.parametrize("name", ["o.csv.gz", "o.tsv", "o.jsonl", "o.npz"])
def test_answers_in_every_kind(tmp_path: Path, frame: Any, name: str) -> None:
    path, out = tmp_path / "d.csv", tmp_path / name
    frame.to_csv(path, index=False)
    _, model = trained(path, "--id", "id")
    assert run("predict", model, path, "-o", out).exit_code == 0
    if name == "o.jsonl":
        ids = [int(json.loads(line)["id"]) for line in out.read_text().splitlines()]
    elif name == "o.npz":
        with np.load(out) as arrays:
            ids = arrays["id"].astype(np.int64).tolist()
    else:
        ids = pandas.read_csv(out, sep="\t" if name == "o.tsv" else ",")["id"].tolist()
    assert ids == frame.id.tolist()
