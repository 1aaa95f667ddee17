"""Every page of a report: it needs nothing else, is whole and well-formed, and its tables sort."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from html import escape
from html.parser import HTMLParser

import pytest

for _package in ("jinja2", "matplotlib", "PIL", "skimage"):
    pytest.importorskip(_package, reason=f"{_package} is not installed")

from support.profiles import small_profile  # noqa: E402
from support.study_samples import stand_ins, tiny_results  # noqa: E402

from accel_logreg.lesson import report as lesson  # noqa: E402
from accel_logreg.measure.page import slug, sort_value  # noqa: E402
from accel_logreg.profile import plots, report  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
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


Made = tuple[str, dict[str, bytes]]


@pytest.fixture(scope="module", params=["study", "profile"])
def made(request: pytest.FixtureRequest) -> Made:
    """A page and its pictures."""
    if request.param == "profile":
        profile = small_profile("numpy", rows=2000, features=6)
        pictures = {"roofline": plots.roofline(profile), "stages": plots.timeline(profile)}
        return report.to_html(profile, pictures), pictures
    results = tiny_results()
    pictures = stand_ins(results)
    return lesson.to_html(results, pictures), pictures


@pytest.fixture
def html(made: Made) -> str:
    return made[0]


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


def test_the_page_is_well_formed_and_its_pictures_are_whole_and_described(made: Made) -> None:
    html, pictures = made
    assert Page(html).open == []
    assert html.count("<svg") == len(pictures)
    for name, picture in pictures.items():
        label = slug(name)
        assert f'role="img" aria-labelledby="{label}-title"><title id="{label}-title">' in html
        words = {element.text for element in ET.fromstring(picture).iter(f"{SVG}text")}
        assert words
        assert all(word is None or escape(word, quote=False) in html for word in words)


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


def test_light_and_dark(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    assert 'name="color-scheme" content="light dark"' in html


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
