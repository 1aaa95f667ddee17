"""The pictures and the page of a profile: legible, whole, and without anything from outside."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from html import escape
from itertools import combinations

import pytest
from support.profiles import small_profile

plots = pytest.importorskip("accel_logreg.profile.plots", reason="matplotlib is not installed")

from accel_logreg.lesson.plots import new_figure  # noqa: E402
from accel_logreg.profile.result import Profile  # noqa: E402
from accel_logreg.profile.summary import Sum  # noqa: E402


@pytest.fixture(scope="module")
def profile() -> Profile:
    return small_profile("numpy", rows=2000, features=6)


def test_pictures_are_whole(profile: Profile) -> None:
    for draw in (plots.roofline, plots.timeline):
        picture = ET.fromstring(draw(profile))
        assert picture.get("width") == "432pt"
        assert len(list(picture.iter("{http://www.w3.org/2000/svg}path"))) > 10


def test_labels_do_not_overlap() -> None:
    """Ten questions, most of them nearly at one point."""
    sums = [
        Sum(
            f"question_{k}, sampled",
            (1.0 + 1e-3 * k,),
            1.0,
            1e9,
            (4.0 + 0.1 * (k % 3)) * 1e9,
            90.0 - k,
            "memory",
        )
        for k in range(10)
    ]
    figure = new_figure(5.6)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.1, 1000.0)
    axes.set_ylim(0.1, 100.0)
    name = axes.annotate("a ceiling", (5.0, 4.5))
    figure.canvas.draw()
    labels = plots.place_labels(axes, sums, [name])
    assert [label.get_text().split(",")[0] for label in labels] == [f"question_{k}" for k in range(9, -1, -1)]
    boxes = [artist.get_window_extent() for artist in (*labels, name)]
    for first, second in combinations(boxes, 2):
        assert not first.overlaps(second)
    frame = axes.get_window_extent()
    for box in boxes:
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1


def test_ceilings_of_the_same_height_keep_their_names_apart(profile: Profile) -> None:
    """A GPU may multiply as fast in float64 as in float32."""
    rates = {"float32": 6.0e13, "TF32": 4.0e14, "float64": 6.1e13}
    alike = replace(profile, ceilings=replace(profile.ceilings, bandwidth=3e12, flops=rates))
    figure = new_figure(5.6)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    plots._limits(axes, alike, [])
    names = plots._ceilings(axes, alike)
    figure.canvas.draw()
    plots._move_apart(axes, names[:-1])
    assert [name.get_text().split(":")[0] for name in names] == [*rates, "memory"]
    boxes = [name.get_window_extent() for name in names[:-1]]
    for first, second in combinations(boxes, 2):
        assert not first.overlaps(second)
    for rate in rates.values():
        height = axes.transData.transform((1.0, rate / 1e9))[1]
        assert not any(box.y0 < height < box.y1 for box in boxes), "a name is crossed out"
    assert plots.roofline(alike).startswith(b"<svg")


def test_what_the_host_does_between_questions(profile: Profile) -> None:
    spans = profile.spans_of_fit()
    gaps = plots._gaps(0.0, 10.0, [])
    assert gaps == [(0.0, 10.0)]
    (fit,) = [span for span in spans if span.name == "profiled fit"]
    lanes = {name: (bars, total) for name, _, bars, total in plots._lanes(profile, spans, fit)}
    assert {"check", "take rows", "solver, host"} <= lanes.keys()
    for bars, total in lanes.values():
        assert sum(seconds for _, seconds in bars) == pytest.approx(total)
    assert sum(total for _, total in lanes.values()) == pytest.approx(fit.seconds)


def test_the_page_needs_nothing_else(profile: Profile) -> None:
    page = pytest.importorskip("accel_logreg.profile.page", reason="jinja2 is not installed")
    pictures = {"roofline": plots.roofline(profile), "stages": plots.timeline(profile)}
    html = page.to_html(profile, pictures)
    assert html.count("<svg") == html.count("</svg>") == len(pictures)
    for svg in pictures.values():
        words = {element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
        assert words
        assert all(word is None or escape(word, quote=False) in html for word in words)
    assert "http:" not in html
    assert "https:" not in html
    assert html.count("<table") == html.count("</table>") == 5
    assert "loss_grad" in html
    assert "profile.json" in html
