"""What earlier versions wrote loads for ever: their own pickles and model files, in tests/files/older.

``first`` is the first version of all: two classes, and pickles that do not say who wrote them. ``classes``
came with three and more, ``penalties`` with L1, and ``names`` with scikit-learn's arguments. A change of the
state or of the format adds files, pickled with protocol 4; what is there is never written anew.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from accel_logreg import load_model, load_pipeline, save_model

OLDER = Path(__file__).parent / "older"
EXPECTED: dict[str, dict[str, Any]] = json.loads((OLDER / "expected.json").read_text())
X = np.sin(np.arange(36.0)).reshape(12, 3)
FILES = sorted(path for path in OLDER.iterdir() if path.name != "expected.json")


def read(path: Path) -> Any:
    return pickle.loads(path.read_bytes()) if path.suffix == ".pickle" else load_model(path)


@pytest.mark.filterwarnings("ignore:scikit-learn has no penalty_factor:UserWarning")
@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_it_loads_and_is_whole(path: Path, tmp_path: Path) -> None:
    """It predicts what it did where it was written, and can do all that a model of today can."""
    model, expected = read(path), EXPECTED[path.stem]
    np.testing.assert_allclose(model.predict_proba(X), expected["probabilities"], rtol=1e-13)
    assert model.predict(X).tolist() == expected["labels"]
    assert {name: getattr(model, name) for name in expected["params"]} == expected["params"]
    np.testing.assert_allclose(model.to_sklearn().predict_proba(X), expected["probabilities"], rtol=1e-12)
    save_model(model, tmp_path / "again.json")
    np.testing.assert_array_equal(load_model(tmp_path / "again.json").dense_coef(), model.dense_coef())
    labels = np.resize(model.classes_, len(X))
    assert clone(model).fit(X, labels).coef_.shape == model.coef_.shape


def test_all_are_there() -> None:
    assert {path.stem for path in FILES} == EXPECTED.keys()
    assert len(FILES) == 23


def test_prepared_columns_of_version_5() -> None:
    """The file holds the table that it was fitted to, and what it predicted."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs tables: pip install 'accel_logreg[lab]'")
    path = Path(__file__).with_name("older_pipeline.json")
    known = json.loads(path.read_text())["metadata"]
    found = load_pipeline(path).predict_proba(pyarrow.table(known["table"]))[:, 1]
    np.testing.assert_allclose(found, known["probabilities"], rtol=1e-12)
