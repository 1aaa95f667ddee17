"""The report: one page that needs nothing else, all its files or none, figures that JSON can carry."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.study_samples import curves, tiny_results

from accel_logreg.files.atomic import publish
from accel_logreg.lesson import report
from accel_logreg.lesson.report import Results, headlines
from accel_logreg.measure.page import slug, sort_value
from accel_logreg.measure.table import show

VOID = {"meta", "img", "link", "br", "hr", "input"}
LOADING = {"src", "href", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """Collects what a page would load, its images, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.cells: list[dict[str, str]] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.loads += [value for name, value in values.items() if name in LOADING]
        if tag == "td":
            self.cells.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results() -> Results:
    return tiny_results()


@pytest.fixture(scope="module")
def pictures(results: Results) -> dict[str, bytes]:
    """The curves as they are, and one of them in the place of the photographs."""
    drawn = curves(results)
    others = ("regions", "train_crops", "predictions", "weights")
    return drawn | dict.fromkeys(others, drawn["step_time"])


@pytest.fixture(scope="module")
def html(results: Results, pictures: dict[str, bytes]) -> str:
    return report.to_html(results, pictures)


def test_the_page_loads_nothing_from_outside(html: str) -> None:
    page = Page(html)
    assert page.loads
    assert all(value.startswith(("data:,", "#")) for value in page.loads)
    assert not page.tags & {"iframe", "object", "base"}
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", html))


def test_the_page_names_its_one_script_by_its_digest(html: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html
    )


def test_the_page_is_well_formed_and_its_pictures_are_whole_and_described(
    html: str, pictures: dict[str, bytes]
) -> None:
    assert Page(html).open == []
    assert html.count("<svg") == len(pictures) == 9
    for name, picture in pictures.items():
        label = slug(name)
        assert f'role="img" aria-labelledby="{label}-title"><title id="{label}-title">' in html
        ET.fromstring(picture)


def test_no_two_elements_share_an_id_and_every_reference_is_met(html: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="#|url\(#)([^")]*)', html) + re.findall(r'aria-labelledby="([^"]*)"', html)
    assert used
    assert set(used) <= set(ids)


def test_a_table_scrolls_in_its_own_place_and_says_what_its_cells_are_worth(html: str) -> None:
    assert html.count("<table") == html.count('<div class="scroll')
    assert 'name="viewport"' in html
    values = [float(cell["data-sort"]) for cell in Page(html).cells if "data-sort" in cell]
    assert len(values) > 10


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("161 ms", 0.161), ("86.4 µs", 8.64e-5), ("650 ns", 6.5e-7), ("1,234×", 1234.0), ("45 %", 0.45),
        ("3.2e-10", 3.2e-10), ("1.2 ms to 1.5 s", 1.2e-3), ("12.3× (11.9 to 12.8)", 12.3), ("2.10 MB", 2.1e6),
        ("31.0 GB/s", 3.1e10), ("92.0 GFLOP/s", 9.2e10), ("12,288", 12288.0), ("−3", -3.0), ("58.3%", 0.583),
    ],
)  # fmt: skip
def test_what_a_cell_is_worth(cell: str, value: float) -> None:
    assert sort_value(cell) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("cell", ["", "numba", "not run", "none", "2000x28", "2 threads", "1 thread", "4 e"])
def test_words_are_worth_nothing(cell: str) -> None:
    assert sort_value(cell) is None


def test_the_staircase_names_the_engine_that_is_absent(pictures: dict[str, bytes]) -> None:
    words = " ".join(ET.fromstring(pictures["dot_staircase"]).itertext())
    assert "cupy" in words
    assert "not measured here: <no> device & driver." in words


def test_light_and_dark(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    assert 'name="color-scheme" content="light dark"' in html


def test_the_page_says_what_the_task_is_and_what_is_absent_and_escapes_it(html: str) -> None:
    assert "cupy: not measured here: &lt;no&gt; device &amp; driver." in html
    assert "a &lt;cpu&gt;" in html
    assert "A crop task, not a cat detector" in html
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


def test_publishing_replaces_all_files(tmp_path: Path) -> None:
    publish(tmp_path / "a" / "b", {"x.png": b"1", report.PAGE: b"2"}, report.PAGE)
    publish(tmp_path / "a" / "b", {"x.png": b"3", report.PAGE: b"4"}, report.PAGE)
    assert {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").iterdir()} == {
        "x.png": b"3",
        report.PAGE: b"4",
    }


def test_publishing_that_fails_leaves_the_old_report(tmp_path: Path) -> None:
    publish(tmp_path, {"x.png": b"old", report.PAGE: b"old"}, report.PAGE)
    (tmp_path / "y.png").mkdir()  # a folder where a file should go
    with pytest.raises(IsADirectoryError):
        publish(tmp_path, {"x.png": b"new", "y.png": b"new", report.PAGE: b"new"}, report.PAGE)
    assert (tmp_path / "x.png").read_bytes() == b"old"
    assert (tmp_path / report.PAGE).read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"x.png", "y.png", report.PAGE}
