"""X, y and weights in columns of Parquet or Arrow files, through pyarrow.

Files are decoded a batch at a time with every column on a thread of pyarrow's; here they are put into rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Matrix
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources.reading import AHEAD, in_background
from accel_logreg.sources.source import Source, computed_dtype, cut

SUFFIXES = (".parquet", ".pq", ".feather", ".arrow", ".ipc")
_AT_ONCE = 4  # parts of a row group up to which it is decoded in one piece
_AT_A_TIME = 1 << 19  # bytes of rows that are filled column by column in the cache


def _pyarrow() -> Any:
    try:
        import pyarrow.dataset
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f"Parquet and Arrow files are read by pyarrow, which cannot be imported ({error}). Remedy: pip "
            "install 'accel_logreg[disk]'"
        ) from None
    return pyarrow


class _Piece:
    """A row group of a Parquet file, or a record batch of an Arrow file."""

    def __init__(self, file: _TableFile, number: int, rows: int) -> None:
        self.file, self.number, self.n_rows = file, number, rows


class _TableFile:
    """One Parquet or Arrow file of a dataset."""

    def __init__(self, fragment: Any) -> None:
        pa = _pyarrow()
        self._pa, self.path, self._filesystem = pa, fragment.path, fragment.filesystem
        self._parquet = fragment.format.default_extname == "parquet"
        try:
            with self._opened() as file:
                counts = self._look_into(file)
        except pa.ArrowException as error:
            kind = "Parquet" if self._parquet else "Arrow (Feather, version 2)"
            raise ValueError(f"{self.path} is no {kind} file: {error}") from None
        self.pieces = [_Piece(self, i, count) for i, count in enumerate(counts) if count]
        self._info = self._state()

    def _look_into(self, file: Any) -> list[int]:
        """The rows of each piece; what the file says of itself is kept."""
        if self._parquet:
            self.metadata = self._pa.parquet.read_metadata(file)
            self.schema = self.metadata.schema.to_arrow_schema()
            return [self.metadata.row_group(i).num_rows for i in range(self.metadata.num_row_groups)]
        reader = self._pa.ipc.open_file(file)
        self.schema = reader.schema
        return [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]

    def batches(self, piece: _Piece, columns: list[str], rows: int) -> Iterator[Any]:
        """Record batches of these columns, in order."""
        with self._opened() as file:
            if self._parquet:
                reader = self._pa.parquet.ParquetFile(file, metadata=self.metadata, pre_buffer=False)
                if piece.n_rows <= _AT_ONCE * rows:  # which takes half of the time
                    yield from reader.read_row_group(piece.number, columns=columns).to_batches()
                else:
                    yield from reader.iter_batches(rows, row_groups=[piece.number], columns=columns)
            else:
                yield self._pa.ipc.open_file(file).get_batch(piece.number).select(columns)

    def check_unchanged(self) -> None:
        if self._state() != self._info:
            raise SourceError(
                f"{self.path} changed while it was read: a fit needs the same rows every time. Fit to a copy "
                "that nobody writes to"
            )

    def _opened(self) -> Any:
        try:
            return self._filesystem.open_input_file(self.path)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error}") from error

    def _state(self) -> Any:
        info = self._filesystem.get_file_info(self.path)
        return info.size, info.mtime_ns


class ArrowSource(Source):
    """Columns of numbers of a pyarrow Dataset: all but those of y and of the weights.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    y, sample_weight : str or None
        Columns; they are read at once, for they are little beside the others.
    """

    def __init__(
        self,
        dataset: Any,
        y: str | None = None,
        sample_weight: str | None = None,
        where: str = "",
        columns: Sequence[str] | None = None,
    ) -> None:
        """``columns``: those of X, where they are not all the others.

        Raises ValueError, TypeError where columns are missing or no numbers; SourceError, ImportError.
        """
        self._pa = _pyarrow()
        self._files = [
            _TableFile(fragment) for fragment in sorted(dataset.get_fragments(), key=lambda f: f.path)
        ]
        self._pieces = [piece for file in self._files for piece in file.pieces]
        if not self._pieces:
            raise ValueError(f"{where or dataset} has no rows")
        first = self._files[0]
        self.where = where or (
            first.path if len(self._files) == 1 else f"{len(self._files)} files from {first.path}"
        )
        given = {"y": y, "sample_weight": sample_weight}
        for what, name in given.items():
            if name is not None and name not in first.schema.names:
                raise ValueError(
                    f"{what}={name!r} is no column of {self.where}; there are {_some(first.schema.names)}"
                )
        others = [name for name in first.schema.names if name not in given.values()]
        used = others if columns is None else list(columns)
        if not used:
            raise ValueError(f"{self.where} has no columns beside those of y and of the weights")
        self.names = np.array(used, dtype=object)
        self.n_features = len(used)
        self.dtype = computed_dtype(
            [self._dtype_of(file, name) for file in self._files for name in used], f"a column of {self.where}"
        )
        counts = [piece.n_rows for piece in self._pieces]
        self._parts, self.bounds = cut(counts, self.n_features * self.dtype.itemsize)
        if y is not None:
            self.y = self._column(y)
        if sample_weight is not None:
            self.sample_weight = self._column(sample_weight)

    @property
    def waiting_bytes(self) -> int:
        return (AHEAD + _AT_ONCE) * max(self.part_bytes(part) for part in range(self.n_parts))

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix]:
        return in_background(self._decoded(wanted))

    def _decoded(self, wanted: Sequence[int]) -> Iterator[Matrix]:
        """The parts, in memory that is used again after two others."""
        largest = max((self._parts[part][2] - self._parts[part][1] for part in wanted), default=0)
        outs = cycle([np.empty((largest, self.n_features), dtype=self.dtype) for _ in range(3)])
        for piece, parts in groupby(wanted, key=lambda part: self._parts[part][0]):
            yield from self._of_piece(piece, list(parts), outs)

    def check_unchanged(self) -> None:
        for file in self._files:
            file.check_unchanged()

    def _of_piece(self, number: int, wanted: list[int], outs: Iterator[NDArray[Any]]) -> Iterator[Matrix]:
        """The parts of one row group, whose batches may be cut anywhere."""
        piece = self._pieces[number]
        step = self._parts[wanted[0]][2] - self._parts[wanted[0]][1]
        left = iter(wanted)
        part = next(left)
        filled, at = 0, 0  # rows of the part that are there; rows of the piece that came
        assert self.names is not None
        try:
            for batch in piece.file.batches(piece, list(self.names), step):
                came = 0
                while came < batch.num_rows:
                    _, first, last = self._parts[part]
                    if at + came < first:  # a part that nobody wants
                        came += min(batch.num_rows - came, first - at - came)
                        continue
                    if filled == 0:
                        out = next(outs)
                    rows = min(batch.num_rows - came, last - first - filled)
                    self._fill(out[filled : filled + rows], batch.slice(came, rows), part, filled)
                    filled, came = filled + rows, came + rows
                    if filled < last - first:
                        continue
                    yield out[:filled]
                    filled = 0
                    following = next(left, None)
                    if following is None:
                        return
                    part = following
                at += batch.num_rows
        except (self._pa.ArrowException, OSError) as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"part {part} of {self.where} cannot be read: {error}") from error
        raise SourceError(f"part {part} of {self.where} has fewer rows than the file said when it was opened")

    def _fill(self, out: NDArray[Any], batch: Any, part: int, before: int) -> None:
        columns = []
        for j, column in enumerate(batch.columns):
            if column.null_count:
                row = int(np.asarray(column.is_null()).argmax()) + before + int(self.bounds[part])
                raise ValueError(
                    f"Input X contains NaN: part {part} of {self.where}, row {row}, column {self.name_of(j)} "
                    "is null. Impute or drop it"
                )
            columns.append(column.to_numpy(zero_copy_only=False))
        step = max(1, _AT_A_TIME // (self.n_features * self.dtype.itemsize))
        for first in range(0, len(out), step):
            rows = slice(first, first + step)
            for j, values in enumerate(columns):
                out[rows, j] = values[rows]

    def _column(self, name: str) -> NDArray[Any]:
        """All of one column."""
        chunks: list[NDArray[Any]] = []
        for piece in self._pieces:
            for batch in piece.file.batches(piece, [name], 1 << 20):
                column = batch.column(0)
                if self._pa.types.is_dictionary(column.type):
                    column = column.dictionary_decode()
                if column.null_count:
                    row = sum(len(chunk) for chunk in chunks) + int(np.asarray(column.is_null()).argmax())
                    raise ValueError(f"column {name!r} of {self.where} is null in row {row}; drop the row")
                chunks.append(column.to_numpy(zero_copy_only=False))
        return np.concatenate(chunks)

    def _dtype_of(self, file: _TableFile, name: str) -> np.dtype[Any]:
        found = file.schema.get_field_index(name)
        if found < 0:
            raise ValueError(f"{file.path} has no column {name!r}; there are {_some(file.schema.names)}")
        kind = file.schema.field(found).type
        types = self._pa.types
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise TypeError(
                f"column {name!r} of {file.path} is of type {kind}; columns of X are numbers or booleans. "
                "Write the files without it, or encode it first"
            )
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")


def dataset_of(paths: list[Path]) -> Any:
    """One dataset of Parquet or Arrow files; of a folder those in it, at any depth.

    Raises ValueError where there are none, or of both kinds.
    """
    pa = _pyarrow()
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    files = [file for file in files if file.suffix.lower() in SUFFIXES]
    arrow = {file.suffix.lower() not in (".parquet", ".pq") for file in files}
    if len(arrow) != 1:
        found = "files of both kinds" if arrow else "no such files"
        raise ValueError(
            f"{paths[0]}: Parquet or Arrow files are read, {', '.join(SUFFIXES)}; there are {found}"
        )
    return pa.dataset.dataset([str(file) for file in files], format="feather" if True in arrow else "parquet")
