"""The reports in a real browser without a network: quiet, legible in both themes, on a phone, sortable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for _package in ("jinja2", "matplotlib", "PIL", "skimage"):
    pytest.importorskip(_package, reason=f"{_package} is not installed")

from support import bench_samples  # noqa: E402
from support.chromium import Page, browser, find_chromium  # noqa: E402
from support.command_line import NUMPY, run, write_table  # noqa: E402
from support.profiles import small_profile  # noqa: E402
from support.study_samples import curves, photographs, tiny_results  # noqa: E402

from accel_logreg.lesson import report as lesson  # noqa: E402
from accel_logreg.profile import plots, report  # noqa: E402
from bench.report.page import write_report  # noqa: E402

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium or Chrome on PATH (Debian: apt-get install chromium)"
    ),
]
CHECKS = (Path(__file__).parents[1] / "support" / "browser_checks.js").read_text(encoding="utf-8")
PEERS = Path(__file__).parents[2] / "bench" / "results" / "peers-cpu-intel-r-xeon-r-processor-2-cores.json"
PHONE = 360
ENOUGH = 4.5  # contrast of text, WCAG 2 level AA
LARGEST = 3_000_000  # bytes of a page
NUMBER = re.compile(
    r"([−-]?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?) ?(s|ms|µs|ns|B|kB|MB|GB|TB|%|×|[kMGT]?FLOP/s|[kMGT]?B/s|)(?: .*)?"
)
SIZES = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3} | {
    prefix + unit: size
    for prefix, size in (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))
    for unit in ("B", "B/s", "FLOP/s")
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every kind of report, in a folder of its own with nothing beside it."""
    folder = tmp_path_factory.mktemp("pages")
    results = tiny_results(sizes=(10, 1_000, 30_000), rounds=5)
    study = folder / "study.html"
    study.write_text(lesson.to_html(results, curves(results) | photographs(results)), encoding="utf-8")
    measured = small_profile("numpy", rows=2_000, features=6)
    drawn = {"roofline": plots.roofline(measured), "stages": plots.timeline(measured)}
    profile = folder / "profile.html"
    profile.write_text(report.to_html(measured, drawn), encoding="utf-8")
    table = write_table(folder)
    training = folder / "training.html"
    options = ("--target", "label", "--output", folder / "model.json", "--report", training, *NUMPY)
    assert run("train", table, *options).exit_code == 0
    return {
        "training": training,
        "study": study,
        "profile": profile,
        "bench": write_report(bench_samples.document(), folder, PEERS),
    }


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    assert CHROMIUM is not None
    with browser(CHROMIUM) as page:
        yield page


@pytest.fixture(params=["study", "profile", "bench", "training"])
def page(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Path:
    return pages[request.param]


def ask(tab: Page, question: str) -> Any:
    return tab.run(f"(() => {{ {CHECKS}\nreturn {question}; }})()")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_opens_quietly_and_asks_for_nothing(tab: Page, page: Path, dark: bool) -> None:
    tab.open(page.as_uri(), dark=dark)
    assert tab.requests[0] == page.as_uri()
    assert [url for url in tab.requests[1:] if not url.startswith("data:")] == []
    assert tab.complaints == []
    assert tab.run("document.title")
    assert page.stat().st_size < LARGEST


def test_a_page_that_would_load_or_run_more_is_caught(tab: Page, page: Path, tmp_path: Path) -> None:
    """The checks above can fail, and the page's own policy stops what a report should never do."""
    more = '<img src="https://example.org/pixel.png"><script>document.title = "taken over"</script></body>'
    changed = tmp_path / "changed.html"
    changed.write_text(page.read_text(encoding="utf-8").replace("</body>", more), encoding="utf-8")
    tab.open(changed.as_uri())
    assert len(tab.complaints) >= 2
    assert tab.run("document.title") != "taken over"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_words_stand_out(tab: Page, page: Path, dark: bool) -> None:
    tab.open(page.as_uri(), dark=dark)
    found = ask(tab, "contrasts()")
    assert sum(one["svg"] for one in found) > 10
    assert sum(not one["svg"] for one in found) > 30
    assert [one for one in found if one["ratio"] < ENOUGH] == []
    assert ask(tab, "luminance(ground(document.body)) < 0.2") is dark


def test_fits_a_phone(tab: Page, page: Path) -> None:
    tab.open(page.as_uri(), width=PHONE)
    found = ask(tab, "overflow()")
    assert found["page"] == [PHONE, PHONE]
    assert found["loose"] == []
    assert set(found["scrolling"]) <= {"auto"}
    if "bench" in page.name:
        assert found["scrolling"], "a table of fifteen columns cannot fit, so something is hidden"


@pytest.mark.parametrize(("width", "height"), [(375, 667), (1280, 720)])
def test_the_lesson_opens_with_its_claim_and_a_picture(
    tab: Page, pages: dict[str, Path], width: int, height: int
) -> None:
    """Above the fold of a phone and of a desk: the factor in large type, the bars, both pieces of code."""
    tab.open(pages["study"].as_uri(), width=width)
    assert re.fullmatch(
        r"[\d,.]+ times faster than the loop", tab.run("document.querySelector('h1').textContent")
    )
    assert tab.run("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)") >= 32
    bottom = "Math.max(...[...document.querySelectorAll('figure:first-of-type svg, .snippet')].slice(0, 3)"
    assert tab.run(f"{bottom}.map((one) => one.getBoundingClientRect().bottom))") < height


def test_no_table_of_the_lesson_is_cut_on_a_desk(tab: Page, pages: dict[str, Path]) -> None:
    tab.open(pages["study"].as_uri(), width=1280)
    assert ask(tab, "overflow()")["scrolling"] == []


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_pictures_have_a_size_and_a_title(tab: Page, page: Path, width: int) -> None:
    tab.open(page.as_uri(), width=width)
    found = ask(tab, "pictures()")
    assert found
    for picture in found:
        assert picture["width"] > 300
        assert picture["height"] > 60
        assert len(picture["title"]) > 20
        assert picture["whole"]


def test_every_table_sorts_by_click_and_by_key(tab: Page, page: Path) -> None:
    tab.open(page.as_uri())
    tables = ask(tab, "tables().map(table => table.tHead.rows[0].cells.length)")
    assert tables
    for table, columns in enumerate(tables):
        for column in range(columns):
            tab.click(*ask(tab, f"place({table}, {column})"))
            up = sorted_state(tab, table, column, "ascending")
            tab.press("Enter", 13)
            down = sorted_state(tab, table, column, "descending")
            tab.press(" ", 32)
            assert sorted_state(tab, table, column, "ascending") == up
            require_order(up, down)
    assert tab.complaints == []


def sorted_state(tab: Page, table: int, column: int, direction: str) -> list[str]:
    state = ask(tab, f"state({table}, {column})")
    assert [k for k, value in enumerate(state["sorted"]) if value != "none"] == [column]
    assert state["sorted"][column] == direction
    cells: list[str] = state["cells"]
    return cells


def require_order(up: list[str], down: list[str]) -> None:
    """Numbers by what they are worth, cells without one below both ways; words as in a dictionary."""
    numbers = [worth(cell) for cell in up]
    assert sorted(up) == sorted(down)
    if any(number is not None for number in numbers):
        known = [number for number in numbers if number is not None]
        assert numbers == sorted(known) + [None] * (len(up) - len(known))
        falling = [worth(cell) for cell in down]
        assert falling == sorted(known, reverse=True) + [None] * (len(up) - len(known))
    elif all(re.fullmatch(r"[a-z]+", cell) for cell in up):
        assert up == sorted(up)
        assert down == sorted(up, reverse=True)


def worth(cell: str) -> float | None:
    """In seconds, bytes or one, read from the words alone."""
    found = NUMBER.fullmatch(cell)
    if found is None or re.match(r"[\d,.]+ [^\W\d]{3,}(?<!FLOP)\b(?!/)", cell):
        return None
    return float(found[1].replace(",", "").replace("−", "-")) * SIZES.get(found[2], 1.0)


def test_prints_on_white_paper(tab: Page, page: Path) -> None:
    tab.open(page.as_uri(), dark=True, media="print")
    assert ask(tab, "luminance(ground(document.body))") == pytest.approx(1.0)
    assert [one for one in ask(tab, "contrasts()") if one["ratio"] < ENOUGH] == []


def test_a_picture_alone_follows_the_theme(tab: Page, tmp_path: Path) -> None:
    """The files beside the page are whole without it."""
    picture = tmp_path / "staircase.svg"
    picture.write_bytes(curves(tiny_results())["dot_staircase"])
    colours = []
    for dark in (False, True):
        tab.open(picture.as_uri(), dark=dark)
        assert tab.complaints == []
        colours.append(tab.run("getComputedStyle(document.querySelector('text')).fill"))
        # A browser shows a file on white, in the dark as well: it brings its own ground.
        paper = tab.run("getComputedStyle(document.documentElement).backgroundColor")
        assert ask(tab, f"luminance(parsed('{paper}').rgb) < 0.2") is dark
    assert colours[0] != colours[1]
