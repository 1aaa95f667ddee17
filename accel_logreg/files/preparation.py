"""Columns of a table → the numbers that a model takes: filled in, standardized, one-hot.

scikit-learn's transformers do it, in a ColumnTransformer. A model file holds what they learned in words:
names, fill values, means, deviations and levels. From these the same transformers are fitted again, so that
reading a file runs no code from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from accel_logreg.files.formats import load_arrow

_NUMBERS, _CATEGORIES = "numbers", "categories"


def new_preparation(
    numbers: Sequence[str], categories: Sequence[str], *, impute: str | None, standardize: bool, dtype: Any
) -> ColumnTransformer:
    """Unfitted. Categories get a column for each level; an unknown level has none. Missing ones are the most
    frequent one where ``impute`` is given.
    """
    of_numbers = {
        "impute": SimpleImputer(strategy=impute, keep_empty_features=True) if impute else None,
        "standardize": StandardScaler() if standardize else None,
    }
    of_categories = {
        "impute": _most_frequent() if impute else None,
        "one_hot": OneHotEncoder(handle_unknown="ignore", dtype=dtype),
    }
    return _assembled(numbers, of_numbers, categories, of_categories)


def _assembled(
    numbers: Sequence[str],
    of_numbers: dict[str, Any],
    categories: Sequence[str],
    of_categories: dict[str, Any],
) -> ColumnTransformer:
    parts = ((_NUMBERS, of_numbers, numbers), (_CATEGORIES, of_categories, categories))
    chains = [
        (name, Pipeline([(step, one or "passthrough") for step, one in steps.items()]), list(columns))
        for name, steps, columns in parts
        if columns
    ]
    return ColumnTransformer(chains, verbose_feature_names_out=False)


def columns_of(preparation: ColumnTransformer) -> tuple[list[str], list[str]]:
    """The names of the numbers, and those of the categories."""
    of = {name: columns for name, _, columns in preparation.transformers}
    return of.get(_NUMBERS, []), of.get(_CATEGORIES, [])


def levels_of(preparation: ColumnTransformer) -> dict[str, list[str]]:
    """Category → its levels; of a fitted one."""
    state = to_state(preparation)
    return dict(zip(state["categories"], state["levels"], strict=True))


def fills_in(preparation: ColumnTransformer) -> bool:
    """Whether missing values are; of a fitted one."""
    state = to_state(preparation)
    return state["fill"] is not None or state["fill_categories"] is not None


def to_state(preparation: ColumnTransformer) -> dict[str, Any]:
    """What the transformers learned, as JSON can hold it."""
    numbers, categories = columns_of(preparation)
    impute, scale = _steps(preparation, _NUMBERS)
    impute_text, encode = _steps(preparation, _CATEGORIES)
    return {
        "numbers": numbers,
        "fill": None if impute is None else impute.statistics_.tolist(),
        "mean": None if scale is None else scale.mean_.tolist(),
        "scale": None if scale is None else scale.scale_.tolist(),
        "categories": categories,
        "fill_categories": None if impute_text is None else impute_text.statistics_.tolist(),
        "levels": [] if encode is None else [levels.tolist() for levels in encode.categories_],
        "dtype": "float64" if encode is None else np.dtype(encode.dtype).name,
    }


def _steps(preparation: ColumnTransformer, name: str) -> list[Any]:
    """The two fitted steps of one kind of column; None for what is not done."""
    if name not in preparation.named_transformers_:
        return [None, None]
    return [None if one == "passthrough" else one for _, one in preparation.named_transformers_[name].steps]


def from_state(state: dict[str, Any]) -> ColumnTransformer:
    """The fitted transformers that ``to_state`` wrote down.

    Raises
    ------
    KeyError, TypeError, ValueError
        Anything else.
    """
    numbers, categories, levels = state["numbers"], state["categories"], state["levels"]
    if not all(levels):
        raise ValueError("a category has no levels")
    known = [np.array(one, dtype=object) for one in levels]
    whole = _assembled(
        numbers,
        {
            "impute": None if state["fill"] is None else SimpleImputer(strategy="mean"),
            "standardize": None if state["mean"] is None else StandardScaler(),
        },
        categories,
        {
            "impute": None if state["fill_categories"] is None else _most_frequent(),
            "one_hot": OneHotEncoder(
                categories=known, handle_unknown="ignore", dtype=np.dtype(state["dtype"])
            ),
        },
    )
    # The mean of one row, and its most frequent values, are the row.
    row = [
        *(state["fill"] or [0.0] * len(numbers)),
        *(state["fill_categories"] or [one[0] for one in levels]),
    ]
    columns = {name: [value] for name, value in zip([*numbers, *categories], row, strict=True)}
    whole.fit(load_arrow().table(columns))
    if state["mean"] is not None:
        scaler = whole.named_transformers_[_NUMBERS]["standardize"]
        scaler.mean_, scaler.scale_ = np.array(state["mean"]), np.array(state["scale"])
        scaler.var_ = scaler.scale_**2
    return whole


def as_they_are(numbers: Sequence[str]) -> dict[str, Any]:
    """The state of a preparation that only puts columns into this order."""
    nothing: dict[str, Any] = dict.fromkeys(("fill", "mean", "scale", "fill_categories"))
    return nothing | {"numbers": list(numbers), "categories": [], "levels": [], "dtype": "float64"}


def _most_frequent() -> SimpleImputer:
    return SimpleImputer(strategy="most_frequent", missing_values=None)


def in_words(state: dict[str, Any]) -> list[str]:
    """What is done to which columns, for a reader."""
    found = []
    if state["fill"] is not None or state["fill_categories"] is not None:
        found.append("missing values filled in")
    if state["mean"] is not None:
        found.append(f"standardized: {len(state['numbers']):,} columns")
    if state["categories"]:
        levels = zip(state["categories"], state["levels"], strict=True)
        found.append("one-hot: " + ", ".join(f"{name} ({len(one):,} levels)" for name, one in levels))
    return found
