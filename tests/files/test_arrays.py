"""NPY files: mapped where they can be, converted where not, and every unusable file named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accel_logreg.files.arrays import read_labels, read_matrix
from accel_logreg.files.checks import DataError
from accel_logreg.files.tables import read_features


def saved(folder: Path, array: Any) -> Path:
    path = folder / "a.npy"
    np.save(path, array)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_matrix_is_mapped(tmp_path: Path, dtype: str) -> None:
    array = np.arange(6.0).reshape(3, 2).astype(dtype)
    X, converted = read_matrix(saved(tmp_path, array))
    assert (converted, X.dtype, type(X)) == ("", np.dtype(dtype), np.ndarray)
    assert not X.flags.owndata
    np.testing.assert_array_equal(X, array)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("float16", "float32"), ("uint8", "float32"), ("bool", "float32"), ("int64", "float64"),
     (">f4", "float32"), (">f8", "float64")],
)  # fmt: skip
def test_other_numbers_are_converted_exactly(tmp_path: Path, dtype: str, kept: str) -> None:
    array = np.array([[0, 1], [1, 1], [1, 0]]).astype(dtype)
    X, converted = read_matrix(saved(tmp_path, array))
    assert converted == str(array.dtype)
    assert (X.dtype, X.flags.c_contiguous) == (np.dtype(kept), True)
    np.testing.assert_array_equal(X, array)


def test_another_order_is_converted(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(3, 2))
    X, converted = read_matrix(saved(tmp_path, array))
    assert converted == "float32 in Fortran order"
    assert X.flags.c_contiguous
    np.testing.assert_array_equal(X, array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"float64 of shape \(3,\); it must hold numbers of shape \(n, d\)"),
        (np.zeros((0, 3)), r"shape \(0, 3\)|no NPY file"),
        (np.array([["a"]]), "<U1 of shape"),
        (np.array([[1.0], [np.nan], [np.inf]]), "in 2 of 3 rows, first in row 1: nan in column 0"),
        (np.array([[1.0, 2.0], [0.0, -np.inf]]), "in 1 of 2 rows, first in row 1: -inf in column 1"),
    ],
)
def test_a_matrix_that_is_wrong(tmp_path: Path, array: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_matrix(saved(tmp_path, array))


def test_large_finite_numbers_are_finite(tmp_path: Path) -> None:
    array = np.full((5, 2), 3e38, dtype=np.float32)  # their sum is not
    assert read_matrix(saved(tmp_path, array))[0].shape == (5, 2)


@pytest.mark.parametrize("read", [read_matrix, read_labels])
def test_files_that_are_none(tmp_path: Path, read: Any) -> None:
    path = saved(tmp_path, np.zeros((40, 40)))
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:40], whole[:-8], b"\x80\x04pickle"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is no NPY file"):
            read(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is no NPY file of numbers or strings"):
        read(path)
    np.savez(tmp_path / "b.npz", X=np.zeros(3))
    (tmp_path / "b.npz").rename(path)
    with pytest.raises(DataError, match=r"is an NPZ file: name it \.npz"):
        read(path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.npy")


def test_labels(tmp_path: Path) -> None:
    for labels in ([3, 1, 2], ["b", "ü", "a"], [True, False, True]):
        assert read_labels(saved(tmp_path, np.array(labels))).tolist() == labels
        np.savez(tmp_path / "a.npz", y=labels)
        assert read_labels(tmp_path / "a.npz").tolist() == labels
    text = tmp_path / "y.txt"
    for lines, expected in (
        ("3\n-1\n 7 \n", [3, -1, 7]),
        ("1\nzwei\n3", ["1", "zwei", "3"]),
        ("007\n7\n", ["007", "7"]),
        (f"1\n{2**70}", ["1", str(2**70)]),
    ):
        text.write_text(lines)
        assert read_labels(text).tolist() == expected


def test_labels_that_are_wrong(tmp_path: Path) -> None:
    for array, message in (
        (np.zeros((3, 1)), r"shape \(3, 1\); it must hold one label"),
        (np.array([b"a"]), r"\|S1 of shape"),
        (np.array([1.0, np.nan]), "missing labels in 'y': 1"),
    ):
        with pytest.raises(DataError, match=message):
            read_labels(saved(tmp_path, array))
    text = tmp_path / "y.txt"
    for content, message in (
        (b"", "is empty"), (b"1\n\n2\n", "no label in line 2"), (b"\xff\xfe1", "no text in UTF-8"),
    ):  # fmt: skip
        text.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_labels(text)
    np.savez(tmp_path / "a.npz", labels=[1, 2])
    with pytest.raises(DataError, match="no array 'y'"):
        read_labels(tmp_path / "a.npz")


@pytest.mark.parametrize(("stored", "kept"), [("float32", "float32"), ("float16", "float64")])
def test_features_in_the_files_own_dtype(tmp_path: Path, stored: str, kept: str) -> None:
    np.savez(tmp_path / "a.npz", X=np.ones((2, 3), stored))
    assert read_features(tmp_path / "a.npz", None, dtype=None).X.dtype == kept
    found = read_features(saved(tmp_path, np.ones((2, 3), "float16")), None)
    assert (found.X.dtype, found.converted, found.names) == (np.float32, "float16", None)
