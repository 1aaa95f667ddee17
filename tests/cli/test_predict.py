"""accel-logreg predict, and pictures from training to prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow.csv import read_csv
from support.command_line import NUMPY, refused, rows_of, run, write_pictures

from accel_logreg import LogisticRegression, load_model, save_model


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_predict_matches_columns_by_name(table: Path, model: Path, tmp_path: Path, suffix: str) -> None:
    lines = [line.split(",") for line in table.read_text().splitlines()]
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("".join(f"{c},extra,{a},{b}\n".replace("extra", "9") for a, b, c, _ in lines))
    shuffled.write_text(shuffled.read_text().replace("c,9,a,b", "c,extra,a,b"))
    path = tmp_path / f"out{suffix}"
    path.write_text("replaced")
    result = run("predict", model, shuffled, "--output", path)
    assert result.exit_code == 0
    assert "does not use: 'extra'" in result.stderr
    X = np.array([row[:3] for row in lines[1:]], dtype=float)
    expected = load_model(model)
    if suffix == ".csv":
        found = rows_of(path)
        assert [row["predicted"] for row in found] == expected.predict(X).tolist()
        probability = np.array(
            [[row["probability_no"], row["probability_yes"]] for row in found], dtype=float
        )
    elif suffix == ".parquet":
        stored = pq.read_table(path)
        assert stored.column_names == ["predicted", "probability_no", "probability_yes"]
        probability = np.column_stack([stored.column(name).to_numpy() for name in stored.column_names[1:]])
    else:
        with np.load(path) as arrays:
            probability = np.column_stack([arrays["probability_no"], arrays["probability_yes"]])
    np.testing.assert_array_equal(probability, expected.predict_proba(X))


def test_predict_on_arrays(model: Path, tmp_path: Path) -> None:
    X = np.random.default_rng(1).standard_normal((4, 3))
    np.savez(tmp_path / "d.npz", X=X)
    result = run("predict", model, tmp_path / "d.npz", "-o", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert "have no names" in result.stderr
    nameless = tmp_path / "nameless.json"
    save_model(LogisticRegression(backend="numpy").fit(X, [0, 1, 1, 0]), nameless)
    (tmp_path / "d.csv").write_text("p,q,r\n1,2,3\n")
    assert "in file order" in run("predict", nameless, tmp_path / "d.csv", "-o", tmp_path / "out.csv").stderr
    (tmp_path / "d.csv").write_text("p,q\n1,2\n")
    message = refused("predict", nameless, tmp_path / "d.csv", "-o", tmp_path / "out.csv")
    assert "has 2 features and" in message


def test_predict_with_a_model_that_knows_its_column_names(table: Path, tmp_path: Path) -> None:
    columns = read_csv(table)
    path = tmp_path / "model.npz"
    fitted = LogisticRegression(backend="numpy").fit(columns.select(["c", "a"]), columns["label"].to_numpy())
    assert fitted.feature_names_in_.tolist() == ["c", "a"]
    save_model(fitted, path)
    result = run("predict", path, table, "-o", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert "does not use: 'b', 'label'" in result.stderr


def test_predict_scores_what_has_labels(table: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    result = run("predict", model, table, "-o", out)
    assert "Confusion matrix, data" in result.output
    assert "label" not in result.stderr
    found = json.loads(run("predict", model, table, "-o", out, "--json").stdout)
    y = [row.split(",")[3] for row in table.read_text().splitlines()[1:]]
    predicted = [row["predicted"] for row in rows_of(out)]
    assert found["scores"]["accuracy"] == np.mean(np.array(y) == predicted)
    assert found["predicted"] == {label: predicted.count(label) for label in ("no", "yes")}
    text = table.read_text()
    table.write_text(text.replace("yes", "maybe", 1))
    assert json.loads(run("predict", model, table, "-o", out, "--json").stdout)["scores"]["unknown"] == 1
    table.write_text(text.replace("yes", "", 1))
    assert "missing labels in 'label': 1" in run("predict", model, table, "-o", out).stderr
    table.write_text(text.replace("yes", "1").replace("no", "0"))
    assert "nothing is scored: none of the labels" in run("predict", model, table, "-o", out).stderr
    table.write_text(text.replace("label", "other"))
    unlabelled = run("predict", model, table, "-o", out)
    assert "Scores" not in unlabelled.output
    assert run("predict", model, table, "-o", out, "--target", "other").output.count("Scores") == 1
    assert "no column 'q' to score against" in refused("predict", model, table, "-o", out, "--target", "q")


def test_predict_refuses(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    (tmp_path / "d.csv").write_text("a,c\n1,2\n")
    assert "no column 'b'" in refused("predict", model, tmp_path / "d.csv", "-o", out)
    (tmp_path / "d.csv").write_text("a,b,c\n1,x,2\n")
    assert "'b' (string)" in refused("predict", model, tmp_path / "d.csv", "-o", out)
    assert "none.csv" in refused("predict", model, tmp_path / "none.csv", "-o", out)
    assert "none.json" in refused("predict", tmp_path / "none.json", table, "-o", out)
    assert "must end in one of .csv" in refused("predict", model, table, "-o", tmp_path / "out.txt")
    assert "was not trained on pictures" in refused("predict", model, tmp_path, "-o", out)
    model.write_bytes(model.read_bytes()[:300])
    assert "cut short" in refused("predict", model, table, "-o", out)
    assert not out.exists()


def test_pictures_from_training_to_prediction(pictures: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "model.npz", tmp_path / "out.csv"
    result = run("train", pictures, "-o", path, "--size", 4, "--dtype", "float32", *NUMPY)
    assert result.exit_code == 0
    assert "20 pictures, 20 of them resized to 4 × 4 pixels" in result.output
    assert "20 × 48 float32" in result.output
    flat = pictures / "dark"
    assert run("predict", path, flat, "-o", out).exit_code == 0
    found = rows_of(out)
    assert [row["path"] for row in found] == [str(file) for file in sorted(flat.iterdir())]
    assert {row["predicted"] for row in found} == {"dark"}


def test_three_classes_of_pictures(pictures: Path, tmp_path: Path) -> None:
    (pictures / "grey").mkdir()
    for file in (pictures / "dark").iterdir():
        with Image.open(file) as picture:
            picture.point(lambda value: value // 2 + 60).save(pictures / "grey" / file.name)
    path, out = tmp_path / "model.json", tmp_path / "out.csv"
    assert "bright, dark, grey" in run("train", pictures, "-o", path, "--size", 4, *NUMPY).output
    assert run("predict", path, pictures, "-o", out).exit_code == 0
    assert [row["predicted"] for row in rows_of(out)] == [
        name for name in ("bright", "dark", "grey") for _ in range(10)
    ]


@pytest.mark.parametrize("labels", [["ash", "birch", "oak"], [3, 10, 20]])
@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_three_classes_from_training_to_prediction(tmp_path: Path, labels: list[Any], suffix: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 3))
    y = np.array(labels)[(X + rng.gumbel(size=(90, 3))).argmax(axis=1)]
    data, path, out = tmp_path / "d.csv", tmp_path / f"m{suffix}", tmp_path / "out.csv"
    lines = (f"{a},{b},{c},{label}\n" for (a, b, c), label in zip(X.tolist(), y.tolist(), strict=True))
    data.write_text("a,b,c,kind\n" + "".join(lines))
    result = run("train", data, "--target", "kind", "-o", path, "--test-fraction", 0.2, *NUMPY)
    assert result.exit_code == 0
    assert ", ".join(map(str, labels)) in result.output
    result = run("predict", path, data, "-o", out)
    assert result.exit_code == 0
    assert (
        f"{labels[0]}: {sum(row['predicted'] == str(labels[0]) for row in rows_of(out))}, " in result.output
    )
    model, found = load_model(path), rows_of(out)
    assert model.classes_.tolist() == labels
    probabilities = np.array([[float(row[f"probability_{label}"]) for label in labels] for row in found])
    np.testing.assert_array_equal(probabilities, model.predict_proba(X))
    assert [row["predicted"] for row in found] == [str(label) for label in model.predict(X)]


def test_many_classes_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", X=rng.standard_normal((60, 2)), y=np.arange(60) % 25)
    path = tmp_path / "m.npz"
    result = run("train", tmp_path / "d.npz", "-o", path, "--max-iter", 50, *NUMPY)
    assert "17, 18, 19, … (25 in all)" in result.output
    assert run("predict", path, tmp_path / "d.npz", "-o", tmp_path / "o.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "o.parquet").num_columns == 26


def test_broken_pictures(pictures: Path, tmp_path: Path) -> None:
    broken = pictures / "dark" / "broken.png"
    broken.write_bytes(b"no picture")
    path = tmp_path / "model.json"
    message = refused("train", pictures, "-o", path, *NUMPY)
    assert str(broken) in message
    assert "--skip-broken" in message
    result = run("train", pictures, "-o", path, "--skip-broken", "--size", 4, *NUMPY)
    assert result.exit_code == 0
    assert f"skipped {broken}" in result.stderr


def test_pictures_refuse_what_is_for_tables(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    assert "leave out --target" in refused("train", pictures, "--target", "t", "-o", path)
    assert "has no sub-folders" in refused("train", pictures / "dark", "-o", path)
    assert "size=0" in refused("train", pictures, "-o", path, "--size", 0)
