"""The pictures and the page of a profile: legible, whole, and without anything from outside."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from support.profiles import small_profile

plots = pytest.importorskip("accel_logreg.profile.plots", reason="matplotlib is not installed")

from accel_logreg.profile import report  # noqa: E402
from accel_logreg.profile.result import Profile, questions  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def profile() -> Profile:
    return small_profile("numpy", rows=2000, features=6)


def test_pictures_are_whole(profile: Profile) -> None:
    for draw in (plots.roofline, plots.timeline):
        picture = ET.fromstring(draw(profile))
        assert picture.get("width") == "432pt"
        assert len(list(picture.iter(f"{SVG}path"))) > 10


def test_the_roofline_names_every_question_and_ceiling(profile: Profile) -> None:
    words = {element.text for element in ET.fromstring(plots.roofline(profile)).iter(f"{SVG}text")}
    asked = questions(profile.spans_of_fit(), profile.ceilings)
    assert any("loss_grad" in one.name for one in asked)
    for one in asked:
        if one.flops and one.bytes:
            assert f"{one.name} {one.percent:.0f} %" in words
    assert {"memory: 100 GB/s", "float32: 2.00 TFLOP/s", "float64: 1.00 TFLOP/s"} <= words


def test_what_the_host_does_between_questions(profile: Profile) -> None:
    spans = profile.spans_of_fit()
    gaps = plots._gaps(0.0, 10.0, [])
    assert gaps == [(0.0, 10.0)]
    (fit,) = [span for span in spans if span.name == "profiled fit"]
    lanes = {name: sum(seconds for _, seconds in bars) for name, _, bars in plots._lanes(profile, fit)}
    assert {"check", "take rows", "solver, host"} <= lanes.keys()
    for one in questions(spans, profile.ceilings):
        assert lanes[one.name] == pytest.approx(one.total)
    assert sum(lanes.values()) == pytest.approx(fit.seconds)


def test_the_page_has_every_table_and_names_its_file(profile: Profile) -> None:
    pytest.importorskip("jinja2", reason="jinja2 is not installed")
    html = report.to_html(profile, dict.fromkeys(("roofline", "stages"), plots.roofline(profile)))
    assert html.count("<table") == html.count("</table>") == 5
    assert "loss_grad" in html
    assert "profile.json" in html
