"""What cannot be read as X is named; what changes or fails under way is too; nothing is left half done."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr
from scipy import sparse
from support.parted_problems import DENSE, Batches, problem

from accel_logreg import FitInterruptedError, LogisticRegression, LogisticRegressionCV, certified_gap
from accel_logreg.backends.parted import rows as parted_rows
from accel_logreg.backends.parted import store
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources import open_source, reading, source, spool


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PART_BYTES", 1 << 15)


def model(**settings: Any) -> LogisticRegression:
    return LogisticRegression(**{"max_memory": "18MB", "backend": "numpy", **settings})


X, Y, S = problem()


def _saved(folder: Path, array: Any, name: str = "X.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def _table(folder: Path, columns: dict[str, Any], name: str = "a.parquet") -> Path:
    pa.parquet.write_table(pa.table(columns), folder / name)
    return folder / name


def _cut(path: Path) -> Path:
    os.truncate(path, path.stat().st_size - 5)
    return path


def _npz(folder: Path, X: Any, name: str = "a.npz") -> Path:
    sparse.save_npz(folder / name, X)
    return folder / name


ONE = {"a": np.arange(9.0), "y": np.arange(9) % 2}
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no such file": (
        lambda f: (f / "no.npy", Y),
        FileNotFoundError, "no.npy'.*there is no such file; X may be",
    ),
    "other ending": (lambda _: (__file__, Y), ValueError, r"ending in \['.py'\]; X may be paths of .npy"),
    "no npy": (lambda f: (Path(f / "x.npy").write_text("hi") and f / "x.npy", Y), ValueError, "no .npy file"),
    "column order": (lambda f: (_saved(f, np.asfortranarray(X)), Y), ValueError, "column .Fortran. order"),
    "one dimension": (lambda f: (_saved(f, Y), Y), ValueError, r"has shape \(6000,\)"),
    "text": (lambda f: (_saved(f, X.astype(str)), Y), TypeError, "dtype <U.*allowed are float32"),
    "byte order": (
        lambda f: (_saved(f, X.astype(">f4")), Y),
        TypeError, "another byte order; write it as float32",
    ),
    "truncated before": (lambda f: (_cut(_saved(f, X)), Y), SourceError, "is not complete. Write it anew"),
    "files of other width": (
        lambda f: ([_saved(f, X), _saved(f, X[:, 1:], "Z.npy")], Y), ValueError, "Z.npy has 11 columns",
    ),
    "files of other dtype": (
        lambda f: ([_saved(f, X), _saved(f, X.astype("f8"), "Z.npy")], Y),
        ValueError, "Z.npy has 12 columns of float64",
    ),
    "no y": (lambda f: (_saved(f, X),), ValueError, "requires y to be passed.*a column by name"),
    "y too short": (lambda f: (_saved(f, X), Y[1:]), ValueError, "X.npy has 6000 rows, and y has 5999"),
    "y by name": (
        lambda f: (_saved(f, X), "clicked"),
        ValueError, "y='clicked': beside this X it is an array",
    ),
    "y with NaN": (lambda f: (_saved(f, X), np.where(Y, 1.0, np.nan)), ValueError, r"y contains NaN.*y\[0\]"),
    "one class": (lambda f: (_saved(f, X), np.zeros(len(X))), ValueError, "one class"),
    "negative weight": (lambda f: (_saved(f, X), Y, -S), ValueError, "is negative"),
    "NaN": (
        lambda f: (_saved(f, np.where(np.arange(X.size).reshape(X.shape) == 12 * 5500 + 7, np.nan, X)), Y),
        ValueError, r"contains NaN: part \d+ of .*X.npy, row 5500, column 7\. Impute or drop",
    ),
    "infinity in a table": (
        lambda f: (_table(f, {**ONE, "a": [*range(8), np.inf]}), "y"),
        ValueError, r"infinity.*row 8, column 0 .'a'",
    ),
    "null": (
        lambda f: (_table(f, {**ONE, "a": [*range(8), None]}), "y"),
        ValueError, r"row 8, column 0 .'a'. is null",
    ),
    "null in y": (
        lambda f: (_table(f, {**ONE, "y": [*range(8), None]}), "y"),
        ValueError, "'y' of .* is null in row 8",
    ),
    "no such column": (
        lambda f: (_table(f, ONE), "z"),
        ValueError, "y='z' is no column of .*; there are 'a', 'y'",
    ),
    "no column left": (lambda f: (_table(f, {"y": [0, 1]}), "y"), ValueError, "no columns beside"),
    "a column of text": (
        lambda f: (_table(f, {**ONE, "b": list("abcdefghi")}), "y"), TypeError, "'b' of .* is of type string",
    ),
    "a file without a column": (
        lambda f: ([_table(f, {**ONE, "b": ONE["a"]}), _table(f, ONE, "b.parquet")], "y"),
        ValueError, "b.parquet has no column 'b'",
    ),
    "no rows": (lambda f: (_table(f, {"a": np.zeros(0), "y": np.zeros(0)}), "y"), ValueError, "has no rows"),
    "zarr of three dimensions": (
        lambda f: (zarr.create_array(f / "z", shape=(2, 2, 2), dtype="f4"), Y),
        ValueError, r"shape \(2, 2, 2\)",
    ),
    "npz that is not CSR": (
        lambda f: (_npz(f, sparse.csc_matrix(X)), Y), ValueError, "format b?'csc'; write X.tocsr",
    ),
    "npz of other things": (
        lambda f: (np.savez(f / "a.npz", X=X) or f / "a.npz", Y), ValueError, "holds no CSR matrix",
    ),
    "blocks of other width": (
        lambda f: ([_npz(f, sparse.csr_matrix(X)), _npz(f, sparse.csr_matrix(X[:, 1:]), "b.npz")], Y),
        ValueError, "b.npz has 11 columns",
    ),
    "a generator": (
        lambda _: (((X, Y) for _ in range(2)),),
        TypeError, "gone through once; a fit reads X several",
    ),
    "no batches": (lambda _: (Batches(X[:0], Y[:0]),), ValueError, "there is none"),
    "batches of other things": (
        lambda _: (Batches(X),),
        TypeError, "batch 0 is a tuple; X may be an iterable of",
    ),
    "batches and y": (lambda _: (Batches(X, Y), Y), ValueError, r"y and sample_weight come with the batches"),
    "a batch of other rows": (
        lambda _: ([(X, Y), (X, Y[1:])],),
        ValueError, r"batch 1 has shapes .*\(5999,\)",
    ),
    "a batch of other width": (lambda _: ([(X, Y), (X[:, 1:], Y)],), ValueError, "batch 1 has 11 columns"),
    "weights here and there": (lambda _: ([(X, Y), (X, Y, S)],), ValueError, "some batches have weights"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_is_named(what: str, tmp_path: Path) -> None:
    given, error, message = BAD[what]
    estimator = model()
    with pytest.raises(error, match=message):
        estimator.fit(*given(tmp_path))
    assert not hasattr(estimator, "coef_")


def test_what_does_not_read_sources_says_so(tmp_path: Path) -> None:
    path = _saved(tmp_path, X)
    with pytest.raises(TypeError, match=r"solver='liblinear' copies X.*read in parts; use solver='auto'"):
        model(solver="liblinear").fit(path, Y)
    with pytest.raises(ValueError, match=r"offset.*is read in parts"):
        model().fit(path, Y, offset=np.zeros(len(Y)))
    with pytest.raises(ValueError, match=r"cv='loo'.*is read in parts; use cv=5"):
        LogisticRegressionCV(cv="loo", scoring="neg_log_loss").fit(path, Y)
    with pytest.raises(TypeError, match="summary reads X as an array in memory"):
        model(C=float("inf")).fit(path, Y).summary(path, Y)
    with pytest.raises(TypeError, match="reads X as an array in memory, and X is a PosixPath"):
        certified_gap(path, Y, np.zeros(12), 0.0, C=1.0)
    with pytest.raises(ValueError, match=r"newton-gram needs .*read in parts. Use solver='auto'"):
        model(solver="newton-gram").fit(path, Y)
    with pytest.raises(ValueError, match="spool='/no/such' is no folder"):
        model(spool="/no/such").fit(path, Y)
    with pytest.raises(ValueError, match="6000 rows"):
        model().fit(X, Y).score(path, Y[1:])


def _after(monkeypatch: pytest.MonkeyPatch, question: int, do: Any) -> None:
    """``do`` before so many questions have been answered."""
    asked, mean = [0], parted_rows.Parts.mean

    def counted(self: Any, what: Any) -> Any:
        asked[0] += 1
        if asked[0] == question:
            do()
        return mean(self, what)

    monkeypatch.setattr(parted_rows.Parts, "mean", counted)


@pytest.mark.parametrize("kind", ["npy", "parquet", "several npy"])
@pytest.mark.parametrize("how", ["truncated", "written to"])
def test_a_file_that_changes_under_way(
    kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = DENSE[kind](tmp_path, X, Y, S)
    file = sorted(path for path in tmp_path.iterdir() if path.name not in ("y.npy", "s.npy"))[0]

    def change() -> None:
        if how == "truncated":
            os.truncate(file, file.stat().st_size // 2)
        else:
            with file.open("r+b") as opened:
                opened.seek(-8, os.SEEK_END)
                opened.write(b"\0" * 4)
            os.utime(file, ns=(1, 1))

    _after(monkeypatch, 2, change)
    estimator = model(solver="lbfgs").fit(X, Y)
    before = vars(estimator).copy()
    with pytest.raises(
        FitInterruptedError, match=r"changed while it was read|truncated|cannot be read"
    ) as caught:
        estimator.fit(*given)
    assert isinstance(caught.value.__cause__, SourceError)
    assert caught.value.W.shape == (13,)
    assert vars(estimator).keys() == before.keys()
    assert estimator.coef_ is before["coef_"]


class _Shuffled(Batches):
    """Rows in another order every time, but for the first."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self.passes += 1
        order = np.random.default_rng(self.passes).permutation(len(Y))
        return iter(Batches(*(array[order] for array in self.arrays)))


class _Fewer(Batches):
    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        batches = list(super().__iter__())
        return iter(batches[: len(batches) - (self.passes > 3)])


class _Fails(Batches):
    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for number, batch in enumerate(super().__iter__()):
            if self.passes == 4 and number == 3:
                raise OSError(errno.EIO, "the disk is gone")
            yield batch


def _tight(batches: Any) -> LogisticRegression:
    """A model with no memory for parts to stay."""
    sourced = open_source(batches)
    assert sourced is not None
    return model(solver="lbfgs", max_memory=sum(store.memory_needed(sourced.X, len(Y), 1).values()))


def test_batches_that_are_not_the_same_again() -> None:
    with pytest.raises(FitInterruptedError, match=r"part 0 of batches .* changed between two reads"):
        _tight(Batches(X, Y)).fit(_Shuffled(X, Y))
    with pytest.raises(FitInterruptedError, match="there were 6 the first time and 5 now"):
        _tight(Batches(X, Y)).fit(_Fewer(X, Y))
    with pytest.raises(OSError, match="the disk is gone") as caught:
        _tight(Batches(X, Y)).fit(_Fails(X, Y))
    assert caught.value.W.shape == (13,)  # type: ignore[attr-defined]
    assert "weights so far" in "".join(caught.value.__notes__)


def test_ctrl_c_leaves_the_estimator_and_tells_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    _after(monkeypatch, 3, interrupt)
    estimator = model(solver="lbfgs")
    with pytest.raises(KeyboardInterrupt) as caught:
        estimator.fit(_saved(tmp_path, X), Y)
    assert caught.value.W.shape == (13,)  # type: ignore[attr-defined]
    assert not hasattr(estimator, "coef_")


def test_a_full_disk_leaves_no_half_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = spool.tempfile.TemporaryFile

    def small(*args: Any, **kwargs: Any) -> Any:
        file = opened(*args, **kwargs)
        file = _Small(file)
        return file

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", small)
    with pytest.raises(
        SourceError, match=r"spool=.*No space left on device after .* name a folder with more room"
    ):
        model(spool=tmp_path).fit(Batches(X, Y))
    assert list(tmp_path.iterdir()) == []


class _Small:
    """A file on a disk with room for 100 kB."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        if self._file.tell() + len(data) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Small:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@pytest.mark.parametrize("when", ["opened", "read"])
def test_without_direct_reads(when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system in memory, which refuses them when a file is opened, or when it is read."""
    path = _saved(tmp_path, X)
    expected = model().fit(path, Y)
    refused = [0]

    def refusing(path: Any, flags: int, *rest: Any) -> int:
        if when == "opened" and flags & os.O_DIRECT:
            refused[0] += 1
            raise OSError(errno.EINVAL, "no direct reads")
        return opened(path, flags, *rest)

    def reading_refused(fd: int, buffers: Any, offset: int) -> int:
        if when == "read" and refused[0] == 0:
            refused[0] += 1
            raise OSError(errno.EINVAL, "no direct reads")
        return (
            preadv(fd, buffers, min(offset, 1 << 62))
            if len(buffers[0]) < 9000
            else preadv(fd, [buffers[0][:8192]], offset)
        )  # in pieces, as an interrupted read comes

    opened, preadv = os.open, os.preadv
    monkeypatch.setattr(reading.os, "open", refusing)
    monkeypatch.setattr(reading.os, "preadv", reading_refused)
    found = model().fit(path, Y)
    assert refused[0] >= 1
    assert found.coef_.tobytes() == expected.coef_.tobytes()


def test_a_read_error_names_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv

    def failing(fd: int, buffers: Any, offset: int) -> int:
        if offset > 200_000:
            raise OSError(errno.EIO, "Input/output error")
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(reading.os, "preadv", failing)
    with pytest.raises(SourceError, match=r"part 7 of .*: .*X.npy cannot be read at byte \d+: Input"):
        model().fit(_saved(tmp_path, X), Y)
