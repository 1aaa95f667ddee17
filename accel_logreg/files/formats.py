"""What kind a data file is, and reading the kinds that hold named columns as a pyarrow.Table.

The kind is that of the name, or, where a pipe or standard input has none that says it, of the first bytes.
PyArrow parses; what a CSV file looks like (its separator, its encoding, its decimal sign) is taken from the
first lines, said in a note, and can be given.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from accel_logreg.files.atomic import is_stream
from accel_logreg.files.checks import DataError, listed

# Suffix → kind; of a compressed file, the one before.
_KINDS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".npz": "npz",
    ".npy": "npy", ".svm": "svmlight", ".svmlight": "svmlight", ".libsvm": "svmlight",
}  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".zst")
_MAGIC = ((b"PAR1", "parquet"), (b"PK\x03\x04", "npz"), (b"\x93NUMPY", "npy"), (b"{", "jsonl"))
_HEAD = 1 << 16  # bytes that separator, encoding and decimal sign are taken from
_WIDE_BLOCK = 1 << 26  # bytes that PyArrow parses together where lines are long: a line must fit into it
_SEPARATORS = "\t;|,"
_ENCODINGS = ("utf-8", "gb18030", "cp1252", "shift_jis")  # tried where a file is not UTF-8
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How to read a text file; None is found out.

    missing : texts that stand for a missing value, besides an empty field, NA, NaN and null
    """

    sep: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    header: bool = True
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, text in (("--sep", self.sep), ("--decimal", self.decimal)):
            if text is not None and len(text) != 1:
                raise DataError(
                    f"{name} {text!r} must be one character" + ("; a tab is 'tab'" * (name == "--sep"))
                )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise DataError(
                    f"--encoding {self.encoding!r} is none that Python knows; such as utf-8, gb18030, cp1252"
                ) from None


@dataclass(frozen=True)
class DataFile:
    """A file, or what came through a pipe, which can be read once only."""

    path: Path
    kind: str
    content: bytes | None = field(default=None, repr=False)

    @property
    def source(self) -> Any:
        """What readers take: the path, or the bytes."""
        return self.path if self.content is None else io.BytesIO(self.content)

    def stream(self) -> Any:
        """Its bytes, decompressed, as a stream of PyArrow."""
        arrow = load_arrow()
        if self.content is not None:
            return arrow.BufferReader(self.content)
        return arrow.input_stream(str(self.path), compression="detect")

    def head(self) -> bytes:
        """The first of them."""
        with self.stream() as stream:
            return bytes(stream.read(_HEAD))


def open_data(path: Path) -> DataFile:
    """The file at ``path``, or standard input for "-".

    Raises
    ------
    DataError
        A name whose suffix says no kind that is known.
    OSError
        It cannot be opened.
    """
    standard = str(path) in ("-", "/dev/stdin")
    if standard or is_stream(path):
        content = sys.stdin.buffer.read() if standard else path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        known = next((kind for magic, kind in _MAGIC if content.startswith(magic)), _kind(path) or "csv")
        return DataFile(path, known, content)
    kind = _kind(path)
    if kind is None:
        raise DataError(
            f"{path}: unknown kind of file {path.suffix.lower()!r}; allowed: {', '.join(_KINDS)}, text with "
            f"{', '.join(_COMPRESSED)} behind, and '-' for standard input"
        )
    path.open("rb").close()  # says which file cannot be opened, in the same words for every kind
    return DataFile(path, kind)


def _kind(path: Path) -> str | None:
    inner = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    kind = _KINDS.get(inner.suffix.lower())
    return kind if inner == path or kind in ("csv", "jsonl", "svmlight") else None


def load_arrow() -> ModuleType:
    """PyArrow with the modules of its formats; ImportError with the remedy where it is missing."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.csv
        import pyarrow.json
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            'CSV, JSON and Parquet files need PyArrow, which is missing: pip install "accel_logreg[lab]"',
            name="pyarrow",
        ) from error
    module: ModuleType = pyarrow
    return module


def read_table(
    data: DataFile, dialect: Dialect, texts: Sequence[str] = (), tell: Callable[[str], None] = lambda _: None
) -> Any:
    """The file as a pyarrow.Table with at least one row and no repeated column name.

    texts : columns to be read as text, whatever they look like
    tell : called with each thing that was found out and not said
    """
    arrow = load_arrow()
    path = data.path
    try:
        if data.kind == "csv":
            table = _read_csv(data, dialect, texts, tell)
        elif data.kind == "jsonl":
            table = arrow.json.read_json(data.source)
        else:
            with arrow.parquet.ParquetFile(data.source) as file:
                table = file.read()
    except (arrow.ArrowException, UnicodeError) as error:
        raise DataError(f"{path} cannot be read as {data.kind}: {error}") from error
    repeated = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if repeated:
        raise DataError(f"{path}: two columns have the same name: {listed(repeated)}; rename one")
    if table.num_rows == 0:
        raise DataError(f"{path} has no rows")
    for k, one in enumerate(table.schema):
        if arrow.types.is_dictionary(one.type):  # categories of pandas, say: their values
            table = table.set_column(k, one.name, table.column(k).cast(one.type.value_type))
    return table


def _read_csv(data: DataFile, dialect: Dialect, texts: Sequence[str], tell: Callable[[str], None]) -> Any:
    arrow = load_arrow()
    path, head = data.path, data.head()
    encoding = dialect.encoding or _byte_order(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).lstrip("\ufeff")
    lines = text.splitlines()
    lines = lines[:-1] if len(head) == _HEAD and len(lines) > 1 else lines
    found = [] if encoding == "utf-8" or dialect.encoding else [f"--encoding {encoding}"]
    sep = dialect.sep or _separator(lines)
    fields = [cell.strip() for row in csv.reader(lines[:100], delimiter=sep) for cell in row]
    decimal = dialect.decimal
    if decimal is None:
        comma = sep != "," and any(map(_DECIMAL_COMMA.fullmatch, fields))
        decimal = "," if comma and not any(map(_DECIMAL_POINT.fullmatch, fields)) else "."
        found += ["--decimal ,"] * (decimal == ",")
    if dialect.sep is None and sep not in (",", "\t"):
        found.insert(0, f"--sep '{sep}'")
    if found:
        tell(f"{path} is read with {' '.join(found)}")
    names = next(csv.reader(lines[:1], delimiter=sep), [])
    if dialect.header and (numbers := [name for name in names if _is_number(name, decimal)]):
        tell(
            f"{path}: its first line looks like data, not like names: {listed(numbers, 3)}. If it has no "
            "header, --no-header names the columns f0, f1, …"
        )
    convert = arrow.csv.ConvertOptions(
        strings_can_be_null=True,  # an empty field is a missing value in a column of strings too
        null_values=[*arrow.csv.ConvertOptions().null_values, *dialect.missing],
        decimal_point=decimal,
        column_types=dict.fromkeys(texts, arrow.string()),
    )
    reading = arrow.csv.ReadOptions(
        encoding=encoding,
        autogenerate_column_names=not dialect.header,
        block_size=_WIDE_BLOCK if len(max(lines, key=len, default="")) > _HEAD // 8 else None,
    )
    parsing = arrow.csv.ParseOptions(delimiter=sep)
    table = arrow.csv.read_csv(
        data.source, read_options=reading, parse_options=parsing, convert_options=convert
    )
    try:
        names = table.column_names
    except UnicodeDecodeError:
        raise _not_utf8(data) from None
    if any(arrow.types.is_binary(kind) for kind in table.schema.types):  # what PyArrow makes of bad UTF-8
        raise _not_utf8(data)
    # What pandas calls the column that its own to_csv left without a name.
    return table.rename_columns([name or f"Unnamed: {k}" for k, name in enumerate(names)])


def _byte_order(head: bytes) -> str:
    utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if utf16 else "utf-8"


def _separator(lines: Sequence[str]) -> str:
    """The one that cuts the first lines into equally many fields, and into most; a comma if none does."""
    best, most = ",", 1
    for sep in _SEPARATORS:
        counts = {len(row) for row in csv.reader(lines[:20], delimiter=sep) if row}
        if len(counts) == 1 and (count := counts.pop()) > most:
            best, most = sep, count
    return best


def _is_number(name: str, decimal: str) -> bool:
    try:
        float(name.replace(decimal, "."))
    except ValueError:
        return False
    return name.lower().strip("+-") not in ("nan", "inf", "infinity")


def _not_utf8(data: DataFile) -> DataError:
    """The error that shows the first line that is not UTF-8 in the encodings in which it is a text."""
    with data.stream() as stream:
        line = next((line for line in io.BufferedReader(stream) if not _decoded(line, "utf-8")), b"")
    texts = {name: _decoded(line, name).strip()[:60] for name in _ENCODINGS}
    shown = [f"{text!r} with --encoding {name}" for name, text in texts.items() if text]
    readable = ", or ".join(shown) or "as nothing in the usual encodings; name its own with --encoding"
    return DataError(f"{data.path} is not in UTF-8. A line of it reads {readable}")


def _decoded(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return ""
