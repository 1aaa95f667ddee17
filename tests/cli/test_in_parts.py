"""``train`` and ``predict`` with --max-memory: files larger than memory, read in parts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from support.command_line import refused, run
from support.parted_problems import DENSE, problem

from accel_logreg import LogisticRegression, load_model
from accel_logreg.sources import source


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PART_BYTES", 1 << 15)


def test_a_table(tmp_path: Path) -> None:
    X, y, s = problem()
    names = np.where(y, "yes", "no")
    data, _, _ = DENSE["parquet"](tmp_path, X, names, s)
    model, answers = tmp_path / "m.json", tmp_path / "answers.csv"
    more = ["--target", "clicked", "--weights", "w", "--max-memory", "100MB", "--backend", "numpy"]
    out = run("train", data, *more, "--output", str(model)).stdout
    assert "6000 x 12 float32, 288 kB in 12 parts: 288 kB kept in memory" in out
    assert "(certified)" in out
    assert "of the rows that were fitted" in out
    expected = LogisticRegression(backend="numpy").fit(X, names, s)
    np.testing.assert_allclose(load_model(model).coef_, expected.coef_, atol=1e-4)
    run("predict", str(model), data, "--max-memory", "100MB", "--output", str(answers))
    found = pyarrow.csv.read_csv(answers)
    assert found.column_names == ["predicted", "probability_no", "probability_yes"]
    loaded = load_model(model)
    del loaded.feature_names_in_  # X here has none
    np.testing.assert_array_equal(found["predicted"].to_numpy(), loaded.predict(X))
    run("train", data, *more, "--drop", "c3,c4", "--output", str(model))
    assert load_model(model).n_features_in_ == 10
    one = str(tmp_path / "0.parquet")
    table = tmp_path / "answers.parquet"
    run("predict", str(model), one, "--max-memory", "100MB", "--output", str(table))
    assert pyarrow.parquet.read_table(table).num_rows == 2000


def test_arrays(tmp_path: Path) -> None:
    data, y, s = DENSE["npy"](tmp_path, *problem())
    more = ["--labels", str(y), "--weights", str(s), "--max-memory", "100MB", "--backend", "numpy"]
    out = run("train", data, *more, "--output", str(tmp_path / "m.json")).stdout
    assert "X.npy, 6000 x 12 float32" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--impute", "mean"], "'--impute' need all rows at once"),
        (["--drop", "z"], "--drop 'z': .* has the columns 'c0'"),
        (["--max-memory", "10 parsecs"], "is no size of memory"),
        (["--max-memory", "1MB"], "Remedy: max_memory='18MB' or more"),
    ],
)
def test_what_cannot_be(options: list[str], message: str, tmp_path: Path) -> None:
    data, clicked, _ = DENSE["parquet"](tmp_path, *problem())
    more = ["--target", clicked, "--max-memory", "100MB", *options, "--output", str(tmp_path / "m.json")]
    code = 1 if "Remedy" in message else 2
    assert re.search(message, refused("train", data, *more, code=code))
    assert not (tmp_path / "m.json").exists()


def test_a_folder_without_tables(tmp_path: Path) -> None:
    more = ["--target", "y", "--max-memory", "1GB", "--output", str(tmp_path / "m.json")]
    assert "no .parquet files; --max-memory reads .npy" in refused("train", str(tmp_path), *more)
    (tmp_path / "a.parquet").write_text("hello")
    assert "Could not read schema from" in refused("train", str(tmp_path), *more)
