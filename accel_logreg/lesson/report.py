"""The findings of the speed-up study as tables, as JSON, and as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.lesson import findings
from accel_logreg.lesson.results import Results, absent, headlines, task_in_words
from accel_logreg.measure.page import render
from accel_logreg.measure.table import Table

PAGE = "report.html"
RESULTS = "results.json"


def tables(results: Results) -> dict[str, Table]:
    """Every table of measurements by its name in the template; "full" only where it was measured."""
    named = {
        "dot": findings.dot_table(results.dot),
        "dot_order": findings.dot_order_table(results.dot),
        "like": findings.like_table(results),
        "full": findings.full_table(results),
        "phases": findings.phase_table(results),
    }
    return {name: table for name, table in named.items() if table is not None}


def to_json(results: Results) -> str:
    """All raw figures: every sample and every cost, but not the weights."""
    return json.dumps(_plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_html(results: Results, pictures: Mapping[str, bytes]) -> str:
    """The page, with its style and its pictures inside."""
    trained = results.trained
    return render(
        Path(__file__).with_name(PAGE),
        pictures,
        results=results,
        machine=results.machine,
        headlines=headlines(results),
        task=task_in_words(trained.n_rows, results.n_test, trained.n_features, trained.dtype),
        engines=findings.engine_table(results.status, list(results.compile_seconds)),
        tables=tables(results) | {"dot_speed_up": findings.dot_speed_up_table(results.dot)},
        absent=absent(results),
        crossings=[one.in_words("numbers") for one in results.dot.crossings()],
    )


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and errors as what JSON knows; the arrays W are left out for their size."""
    if is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.name != "W"
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, BackendUnavailableError):
        return {"reason": value.reason, "remedy": value.remedy}
    return value
