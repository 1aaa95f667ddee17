"""What the report of the study says, on the terminal, on its page, and in JSON."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.study_samples import stand_ins, tiny_results

from accel_logreg.lesson import report
from accel_logreg.lesson.pictures import dot_staircase
from accel_logreg.lesson.report import Results, absent, headlines
from accel_logreg.measure.table import show


@pytest.fixture(scope="module")
def results() -> Results:
    return tiny_results()


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return report.to_html(results, stand_ins(results))


def test_the_staircase_names_the_engine_that_is_absent(results: Results) -> None:
    words = " ".join(ET.fromstring(dot_staircase(results.dot, absent(results))).itertext())
    assert "cupy" in words
    assert "not measured here: <no> device & driver." in words


def test_the_page_says_what_the_task_is_and_what_is_absent_and_escapes_it(html: str) -> None:
    assert "cupy: not measured here: &lt;no&gt; device &amp; driver." in html
    assert "a &lt;cpu&gt;" in html
    assert "It is not a cat detector" in html
    assert "No pixel of a test crop is in a training crop." in html


def test_the_terminal_shows_brackets_as_they_are(results: Results) -> None:
    text = io.StringIO()
    console = Console(file=text, width=80)
    show(console, report.engine_table(results.status, ["numpy"]))
    show(console, report.dot_table(results.dot))
    assert '"accel_logreg[cuda12]"' in text.getvalue()
    assert "a[i] * b[i]" in text.getvalue()


def _with_samples(results: Results, *samples: float) -> Results:
    run = replace(results.like.runs[0], samples=samples)
    return replace(results, like=replace(results.like, runs=(run,)))


def test_a_machine_that_was_not_quiet_is_named(results: Results) -> None:
    quiet = _with_samples(results, 1.0, 1.1)
    assert not any("with care" in sentence for sentence in headlines(quiet))
    assert any("1.8 of 2 cores busy" in sentence for sentence in headlines(replace(quiet, load_average=1.8)))
    unsteady = headlines(_with_samples(results, 1.0, 5.0, 3.0))
    assert any("the rounds of numpy differ 5.0-fold" in sentence for sentence in unsteady)


def test_json_holds_every_sample_and_cost_but_not_the_weights(results: Results) -> None:
    figures = json.loads(report.to_json(results))
    run = results.like.runs[0]
    assert figures["like"]["runs"][0]["samples"] == list(run.samples)
    np.testing.assert_array_equal(figures["like"]["runs"][0]["costs"], run.costs)
    assert "W" not in figures["like"]["runs"][0]
    assert figures["status"]["cupy"]["reason"] == "<no> device & driver."
