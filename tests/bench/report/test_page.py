"""The report of the benchmarks: what it says of a document, and what it says where the document is silent."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

for _package in ("jinja2", "matplotlib", "PIL"):
    pytest.importorskip(_package, reason=f"{_package} is not installed")

from support.bench_samples import NO_GPU, document, only  # noqa: E402
from support.peers_samples import made_up  # noqa: E402

from accel_logreg.measure.machine import describe  # noqa: E402
from accel_logreg.measure.page import slug  # noqa: E402
from bench.peers import results  # noqa: E402
from bench.peers.results import Run  # noqa: E402
from bench.peers.solvers import DEFAULT  # noqa: E402
from bench.report import page as bench_report  # noqa: E402
from bench.report import peers as bench_peers  # noqa: E402
from bench.report import plots as bench_plots  # noqa: E402
from bench.report import results_file  # noqa: E402
from bench.report.document import BenchDocument  # noqa: E402
from bench.report.findings import findings  # noqa: E402
from bench.report.page import sections  # noqa: E402
from bench.report.results_file import BenchDocumentError  # noqa: E402
from bench.report.table import facts, faster, suite_table, suites, verdict  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def sample() -> BenchDocument:
    return document()


@pytest.fixture(scope="module")
def short(sample: BenchDocument) -> BenchDocument:
    """For what does not depend on how much was measured: pictures take the time."""
    return replace(sample, records=sample.records[:3])


def titles(document: BenchDocument, peers: Path | None = None) -> list[str]:
    return [section.title for section in sections(document, peers)]


def test_one_file_whole_from_a_document_that_went_through_a_file(
    sample: BenchDocument, tmp_path: Path
) -> None:
    results_file.write(sample, tmp_path / "results.json")
    folder = tmp_path / "new" / "report"
    page = bench_report.write_report(results_file.read(tmp_path / "results.json"), folder)
    assert page == folder / "bench.html"
    assert [path.name for path in folder.iterdir()] == ["bench.html"]
    html = page.read_text(encoding="utf-8")
    assert "Example &lt;CPU&gt; &amp; Co." in html
    assert "<CPU>" not in html
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_a_report_that_fails_leaves_the_old_one(short: BenchDocument, tmp_path: Path) -> None:
    (tmp_path / "bench.html").write_text("old")
    (tmp_path / "peers.json").write_text("{}")
    with pytest.raises(BenchDocumentError, match="its format is not 'accel_logreg peers'"):
        bench_report.write_report(short, tmp_path, tmp_path / "peers.json")
    assert (tmp_path / "bench.html").read_text() == "old"


def test_every_record_is_in_the_table_of_its_suite(sample: BenchDocument) -> None:
    assert suites(sample) == ["dot", "pass", "descent", "fit", "overhead", "memory", "scaling"]
    rows = [suite_table(sample, suite).rows for suite in suites(sample)]
    assert sum(map(len, rows)) == len(sample.records)


def test_a_column_that_says_nothing_is_left_out(sample: BenchDocument) -> None:
    fit, overhead = suite_table(sample, "fit").columns, suite_table(sample, "overhead").columns
    assert {"gap", "solver", "reads", "(J − J*)/J*", "of ceiling", "interval", "times faster"} <= set(fit)
    assert not {"gap", "solver", "GB/s", "of ceiling"} & set(overhead)


def test_a_row_says_what_its_record_holds(sample: BenchDocument) -> None:
    (record,) = [
        one for one in sample.records if one.suite == "fit" and one.engine == "numba" and one.shape[1] == 28
    ]
    table = suite_table(sample, "fit")
    (row,) = [
        dict(zip(table.columns, row, strict=True)) for row in table.rows if row[:2] == (record.group, "numba")
    ]
    assert row["gap"] == "3.2e-10"
    assert row["reads"] == "5.25"
    assert row["than"] == "numpy"
    base = next(one for one in sample.groups()[record.group] if one.engine == "numpy")
    assert row["times faster"] == faster(record, base).factor()
    assert row["of ceiling"] == f"{record.percent_of_ceiling:.0f} %"


def test_an_empty_document_says_so(sample: BenchDocument, tmp_path: Path) -> None:
    empty = replace(sample, records=(), skipped={}, ceilings={}, noise={})
    html = bench_report.write_report(empty, tmp_path).read_text(encoding="utf-8")
    assert "not measured here: the document holds no dot product" in html
    assert "No ceiling was measured in this run." in html
    assert "<svg" not in html


def test_passes_without_a_ceiling_are_not_drawn_and_that_is_said(sample: BenchDocument) -> None:
    bare = replace(only(sample, "pass"), ceilings={})
    assert bench_plots.rooflines(bare) == {}
    (section,) = [one for one in sections(bare) if one.title.startswith("Passes")]
    assert section.absent == ("not drawn: the passes carry no flops, or no ceiling was measured.",)


def test_a_device_has_a_roofline_of_its_own(sample: BenchDocument) -> None:
    """The records are the host's, said to be a device's: no figure of a device is made up elsewhere."""
    moved = tuple(replace(one, engine="cupy") for one in sample.records if one.suite == "pass")
    ceilings = {"device copy": 1e12, "device float32 product": 3e13, "device float64 product": 1e12}
    found = bench_plots.rooflines(replace(sample, records=moved, ceilings=ceilings))
    assert list(found) == ["device"]
    words = " ".join(ET.fromstring(found["device"]).itertext())
    assert "device copy: 1,000 GB/s" in words
    assert "float32: 30,000 GFLOP/s" in words


def test_every_mark_of_a_roofline_says_what_it_is(sample: BenchDocument) -> None:
    picture = ET.fromstring(bench_plots.rooflines(sample)["host"])
    said = [element.text or "" for element in picture.iter(f"{SVG}title")]
    passes = [record for record in sample.records if record.suite == "pass"]
    assert len(said) == len(passes)
    assert any("of read bandwidth" in words and "gradient" in words for words in said)


@pytest.mark.parametrize(
    ("noise", "quiet", "words"),
    [
        ({"relative": 0.02, "load_average": 0.1, "warning": ""}, True, "varied by 2.0%"),
        ({"relative": 0.4, "warning": "fixed work varied"}, False, "Fixed work varied."),
        ({}, None, "not recorded"),
        ({"relative": None, "load_average": float("nan")}, None, "not recorded"),
    ],
)
def test_the_verdict_on_noise(
    sample: BenchDocument, noise: dict[str, Any], quiet: bool | None, words: str
) -> None:
    found = verdict(replace(sample, noise=noise))
    assert found.quiet is quiet
    assert words in found.words


def test_noise_is_prominent(short: BenchDocument) -> None:
    html = bench_report.to_html(replace(short, noise={"warning": "the host was <busy>"}))
    assert html.index("The host was &lt;busy&gt;.") < html.index("<h2")
    assert 'class="verdict doubtful"' in html
    assert 'class="verdict doubtful"' not in bench_report.to_html(short)


def test_a_page_begins_with_its_findings_before_any_table(sample: BenchDocument) -> None:
    html = bench_report.to_html(sample)
    places = [
        html.index(re.sub("<.*?>", "", sentence).replace("'", "&#39;")) for sentence in findings(sample)
    ]
    assert places == sorted(places)
    assert places[-1] < min(html.index(part) for part in ("<table", "<svg", "<h2"))


def test_a_busy_machine_is_said_beside_every_figure_of_the_run(sample: BenchDocument, tmp_path: Path) -> None:
    few = only(sample, "dot", "overhead")
    busy = replace(few, noise={"warning": "the host was busy"})
    peers = peers_file(tmp_path)
    html = bench_report.to_html(busy, peers)
    shown = [section for section in sections(busy, peers) if section.figures]
    assert len(shown) == len(sections(busy, peers)) - 2  # what other libraries took, and what did not run
    for part in html.split("<h2 id=")[1:]:
        own = any(part.startswith(f'"{slug(section.title)}"') for section in shown)
        assert ("Measured on a busy machine" in part) == own
    assert "busy machine" not in bench_report.to_html(few, peers)


def test_facts_leave_out_what_the_machine_did_not_tell(sample: BenchDocument) -> None:
    told = dict(facts(sample))
    assert told["GPU"] == "none: the NVIDIA driver's library libcuda.so.1 was not found"
    assert told["threads used"] == "1, 2, 3, 4"
    assert "cupy" not in told["packages"]
    silent = dict(facts(replace(sample, machine={}, revision="")))
    assert silent["processor"] == silent["date"] == silent["revision"] == "not recorded"
    assert "caches" not in silent


def test_skipped_benchmarks_are_named_by_reason(short: BenchDocument) -> None:
    (section,) = [one for one in sections(short) if one.title == "Not measured here"]
    assert section.tables[0].rows[0][:2] == ("12", NO_GPU)
    assert "and 6 more" in section.tables[0].rows[0][2]


def peers_file(folder: Path) -> Path:
    found = made_up(
        Run("accel_logreg", DEFAULT, seconds=[0.01, 0.02], suboptimality=1e-9),
        Run("another lbfgs", {}, seconds=[0.2], suboptimality=1e-6),
        Run("another lbfgs", {}, seconds=[0.1], suboptimality=1e-7),
        Run("another lbfgs", {}, seconds=[0.1], trouble="did not finish"),
    )
    path = folder / "peers.json"
    results.write(path, [found], describe())
    return path


def test_suboptimality_against_time(sample: BenchDocument, tmp_path: Path) -> None:
    shape = bench_peers.shape_of(*results.read(peers_file(tmp_path)))
    assert shape.lines == {"accel_logreg": [(0.015, 1e-9)], "another lbfgs": [(0.1, 1e-7)]}
    words = " ".join(ET.fromstring(bench_peers.panel(shape)).itertext())
    assert "tiny: 6.67 times as fast as" in words
    assert "Suboptimality against time, beside other libraries" in titles(sample, tmp_path / "peers.json")
    assert "Suboptimality against time, beside other libraries" not in titles(sample)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"format": "other"}', "its format is not 'accel_logreg peers'"),
        ('{"format": "accel_logreg peers", "version": 0}', "of version 0; this one reads version 1"),
        (
            '{"format": "accel_logreg peers", "version": 1, "shapes": [{}]}',
            "is not a whole file of 'make peers'",
        ),
    ],
)
def test_what_is_not_of_make_peers_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "peers.json").write_text(text)
    with pytest.raises(BenchDocumentError, match=message):
        results.read(tmp_path / "peers.json")
