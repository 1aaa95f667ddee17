"""A benchmark document as one self-contained HTML page.

What the document does not hold leaves its section out, or is named with the reason that the document gives.
Importing this module needs jinja2 and matplotlib (the extra "lab").
"""

from __future__ import annotations

from pathlib import Path

from accel_logreg.files.atomic import publish
from accel_logreg.measure.page import render
from bench.report import facts as about
from bench.report.document import BenchDocument
from bench.report.sections import sections

PAGE = "bench.html"


def write_report(document: BenchDocument, folder: Path, peers: Path | None = None) -> Path:
    """Write ``folder``/bench.html, whole or not at all, and return its path.

    Parameters
    ----------
    folder : Path
        Made if need be.
    peers : Path or None
        A file of ``make peers`` (bench/results/peers-*.json), for suboptimality against time.

    Raises
    ------
    bench_plots_peers.PeersError
        ``peers`` is not a file that ``make peers`` wrote.
    OSError
        The folder cannot be written, or ``peers`` not read.
    """
    publish(folder, {PAGE: to_html(document, peers).encode()}, PAGE)
    return folder / PAGE


def to_html(document: BenchDocument, peers: Path | None = None) -> str:
    """The page."""
    shown = sections(document, peers)
    pictures = {picture.name: picture.svg for section in shown for picture in section.pictures}
    return render(
        Path(__file__).with_name("report.html"),
        pictures,
        document=document,
        machine=document.machine,
        verdict=about.verdict(document),
        facts=about.facts(document),
        ceilings=about.ceilings(document),
        sections=shown,
    )
