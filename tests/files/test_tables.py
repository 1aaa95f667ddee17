"""CSV, Parquet and NPZ become X and y; every unusable file is an error that names what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from accel_logreg.files.tables import DataError, read_features, read_training_data, write_columns

pa = pytest.importorskip("pyarrow", reason="CSV and Parquet need PyArrow: pip install 'accel_logreg[lab]'")
pq = pytest.importorskip("pyarrow.parquet")

CSV = "a,b,c,label\n1,0.5,true,yes\n2,-1e300,false,no\n3,0.25,true,yes\n"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(CSV)
    return path


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def parquet(tmp_path: Path, **columns: object) -> Path:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_csv(csv: Path) -> None:
    data = read_training_data(csv, target="label")
    assert data.names == ("a", "b", "c")
    assert data.X.flags.c_contiguous
    np.testing.assert_array_equal(data.X, [[1, 0.5, 1], [2, -1e300, 0], [3, 0.25, 1]])
    assert data.y is not None
    assert data.y.dtype.kind == "U"
    assert data.y.tolist() == ["yes", "no", "yes"]
    assert data.ignored == ()


def test_features_and_drop_choose_columns(csv: Path) -> None:
    chosen = read_training_data(csv, target="label", features=["c", "a"])
    assert chosen.names == ("c", "a")
    assert chosen.ignored == ("b",)
    dropped = read_training_data(csv, target="label", drop=["b"])
    assert dropped.names == ("a", "c")
    np.testing.assert_array_equal(dropped.X, chosen.X[:, ::-1])
    assert read_training_data(csv, target="label", features=["a", "b"], drop=["b"]).names == ("a",)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype(csv: Path, dtype: type[np.floating]) -> None:
    assert read_training_data(csv, target="label", drop=["b"], dtype=dtype).X.dtype == dtype


@pytest.mark.parametrize(
    ("labels", "kind"),
    [([0, 1, 1], "i"), ([True, False, True], "b"), ([0.0, 1.0, 0.5], "f"), (["u", "v", "u"], "U")],
)
def test_parquet_labels_keep_their_kind(tmp_path: Path, labels: list[object], kind: str) -> None:
    data = read_training_data(parquet(tmp_path, x=[1, 2, 3], t=labels), target="t")
    assert data.y is not None
    assert data.y.dtype.kind == kind
    assert data.y.tolist() == labels


def test_parquet_dictionary_decimal_and_many_row_groups(tmp_path: Path) -> None:
    n = 40_000
    table = pa.table(
        {
            "x": pa.array(np.arange(n), pa.int32()).cast(pa.decimal128(12, 2)),
            "z": pa.array(np.arange(n, dtype=np.float16)[:n] % 7, pa.float16()),
            "t": pa.array(np.where(np.arange(n) % 3 == 0, "u", "v")).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=7001)
    data = read_training_data(tmp_path / "data.parquet", target="t")
    np.testing.assert_array_equal(data.X[:, 0], np.arange(n))
    assert data.y is not None
    np.testing.assert_array_equal(data.y == "u", np.arange(n) % 3 == 0)


def test_a_whole_number_column_that_turns_fractional_late(tmp_path: Path) -> None:
    rows = "".join(f"{i},u\n" for i in range(400_000))  # beyond the block from which types are inferred
    data = read_training_data(written(tmp_path, f"x,t\n{rows}0.5,v\n"), target="t")
    assert data.X[-1, 0] == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "cannot be read as csv", id="empty"),
        pytest.param("a,label\n", "has no rows", id="header only"),
        pytest.param("a,label\n1,u,3\n", "Expected 2 columns, got 3", id="ragged"),
        pytest.param("a,a,label\n1,2,u\n", "two columns have the same name: 'a'", id="repeated column"),
        pytest.param("a,lable\n1,u\n", r"no column 'label' \(did you mean 'lable'\?\)", id="misspelt target"),
        pytest.param("a,b,label\n1,x,u\n", r"'b' \(string\).*--drop", id="text feature"),
        pytest.param("a,b,label\n1,2024-01-01,u\n", r"'b' \(date32.*--drop", id="date feature"),
        pytest.param(
            "a,b,label\n1,,u\n,3,v\n,4,u\n", r"missing values in 'a': 2, 'b': 1\. .*--drop", id="missing"
        ),
        pytest.param("a,b,label\n1,,u\n2,,v\n", "missing values in 'b': 2", id="column of nothing"),
        pytest.param("a,label\n1,u\n2,\n", "missing labels in 'label': 1", id="missing label"),
        pytest.param("a,label\n1,u\ninf,v\n", "infinite in float64 in 'a': 1", id="infinite"),
        pytest.param("label\nu\n", "no feature column left", id="no features"),
        pytest.param("a,label\n1,2024-01-01\n", "the target 'label' holds date32", id="date target"),
    ],
)
def test_unusable_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_training_data(written(tmp_path, text), target="label")
    assert "data.csv" in str(caught.value)


def test_unusable_requests(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--target COLUMN"):
        read_training_data(csv)
    with pytest.raises(DataError, match="no column 'z', 'w'; its columns: 'a', 'b', 'c', 'label'"):
        read_training_data(csv, target="label", drop=["z", "w"])
    with pytest.raises(DataError, match="target 'label' is among the features"):
        read_training_data(csv, target="label", features=["a", "label"])
    with pytest.raises(DataError, match=r"infinite in float32 in 'b': 1\. .*in float64"):
        read_training_data(csv, target="label", dtype=np.float32)
    with pytest.raises(DataError, match=r"'\.txt'; allowed: \.csv, \.tsv, "):
        read_training_data(tmp_path / "data.txt", target="label")
    for name in ("no.csv", "no.parquet", "no.npz"):
        with pytest.raises(FileNotFoundError, match=name):
            read_training_data(tmp_path / name, target="label")


def test_nan_in_parquet_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing values in 'x': 1"):
        read_training_data(parquet(tmp_path, x=[1.0, np.nan], t=[0, 1]), target="t")
    with pytest.raises(DataError, match="missing labels in 't': 1"):
        read_training_data(parquet(tmp_path, x=[1.0, 2.0], t=[0.0, np.nan]), target="t")


def test_truncated_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path, x=list(range(1000)), t=[0, 1] * 500)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_training_data(path, target="t")


@pytest.mark.parametrize("matrix", ["X", "features"])
@pytest.mark.parametrize("target", [None, "t"])
def test_npz(tmp_path: Path, matrix: str, target: str | None) -> None:
    X = np.arange(6).reshape(3, 2)
    np.savez(tmp_path / "d.npz", **{matrix: X, target or "y": np.array(["u", "v", "u"]), "more": X})
    data = read_training_data(tmp_path / "d.npz", target=target)
    np.testing.assert_array_equal(data.X, X)
    assert data.X.dtype == np.float64
    assert data.names is None
    assert data.ignored == ("more",)
    assert data.y is not None
    assert data.y.tolist() == ["u", "v", "u"]
    assert read_features(tmp_path / "d.npz", None).y is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": [0, 1]}, "no array named 'X' or 'features'; it has 'y'"),
        ({"X": [[1.0], [2.0]]}, "no array 'y'; its arrays: 'X'"),
        ({"X": [1.0, 2.0], "y": [0, 1]}, r"must be numbers of shape \(n, d\), not float64 of shape \(2,\)"),
        ({"X": [["p"], ["q"]], "y": [0, 1]}, "not <U1"),
        (
            {"X": [[1.0], [2.0]], "y": [0, 1, 1]},
            r"one label for each of the 2 rows of X, not int64 of shape \(3,\)",
        ),
        ({"X": [[1.0, np.nan], [2.0, 3.0]], "y": [0, 1]}, r"missing values in 'X\[:, 1\]': 1"),
        ({"X": [[1.0], [2.0]], "y": [0.0, np.nan]}, "missing labels in 'y': 1"),
        ({"X": np.empty((0, 3)), "y": []}, r"shape \(0, 3\)"),
    ],
)
def test_unusable_npz(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    np.savez(tmp_path / "d.npz", **{name: np.asarray(value) for name, value in arrays.items()})
    with pytest.raises(DataError, match=message):
        read_training_data(tmp_path / "d.npz")


def test_damaged_foreign_and_pickled_npz(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, X=np.zeros((100, 5)), y=np.arange(100) % 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(DataError, match="cut short"):
        read_training_data(path)
    path.write_bytes(whole[:600] + b"\1" * 8 + whole[608:])
    with pytest.raises(DataError, match="damaged"):
        read_training_data(path)
    path.write_text("something else")
    with pytest.raises(DataError, match="not an NPZ file"):
        read_training_data(path)
    np.savez(path, X=np.zeros((2, 1)), y=np.array(["u", None], dtype=object))
    with pytest.raises(DataError, match="numbers or strings"):
        read_training_data(path)


def test_names_mean_nothing_in_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.eye(2), y=[0, 1])
    with pytest.raises(DataError, match="have no names"):
        read_training_data(tmp_path / "d.npz", features=["a"])


def test_features_for_prediction_are_reordered(csv: Path) -> None:
    data = read_features(csv, ["c", "a"])
    np.testing.assert_array_equal(data.X, [[1, 1], [0, 2], [1, 3]])
    assert data.ignored == ("b", "label")
    with pytest.raises(DataError, match="no column 'q'"):
        read_features(csv, ["q"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_columns_are_written_and_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    p = np.random.default_rng(0).random(5)
    write_columns(
        path, {"predicted": np.array(["u", "v", "u", "u", "v"]), "p": p, "features": p[:, None][:, 0]}
    )
    if suffix == ".npz":
        with np.load(path) as arrays:
            np.testing.assert_array_equal(arrays["p"], p)
            assert arrays["predicted"].tolist() == ["u", "v", "u", "u", "v"]
        return
    data = read_training_data(path, target="predicted", features=["p"])
    np.testing.assert_array_equal(data.X[:, 0], p)  # CSV too: as many digits as it takes


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(pa.ArrowInvalid):
        write_columns(path, {"a": np.arange(3), "b": np.arange(4)})
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_missing_pyarrow_says_what_to_install(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"accel_logreg\[lab\]"):
        read_training_data(csv, target="label")
