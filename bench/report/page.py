"""A benchmark document as one self-contained HTML page.

What the document does not hold leaves its section out, or is named with the reason that the document gives.
Importing this module needs jinja2 and matplotlib (the extra "lab").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accel_logreg.files.atomic import publish
from accel_logreg.measure.page import render
from accel_logreg.measure.pictures import speed_up, staircase
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import significant
from bench.peers.results import read as read_peers
from bench.report import peers as peers_plot
from bench.report import plots
from bench.report import table as words
from bench.report.document import BenchDocument, by_reason
from bench.report.findings import findings
from bench.report.table import NOTES, some, suite_table, suites

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
    BenchDocumentError
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
        verdict=words.verdict(document),
        findings=findings(document),
        facts=words.facts(document),
        ceilings=words.ceilings(document),
        sections=shown,
    )


@dataclass(frozen=True)
class Picture:
    """name : unlike any other of the page; alternative : what it shows, for whoever cannot see it."""

    name: str
    svg: bytes
    alternative: str
    caption: str


@dataclass(frozen=True)
class Section:
    """sentences: findings; notes: how to read what follows; absent: what is missing, and why.

    ours : measured in this run
    """

    title: str
    pictures: tuple[Picture, ...] = ()
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    absent: tuple[str, ...] = ()
    ours: bool = True

    @property
    def figures(self) -> bool:
        """Whether it shows what was measured in this run, of which a busy machine has to be told."""
        return self.ours and bool(self.pictures or self.sentences or self.notes)

    @property
    def empty(self) -> bool:
        return not (self.pictures or self.sentences or self.tables or self.absent)


def sections(document: BenchDocument, peers: Path | None = None) -> list[Section]:
    """In the order of the page; those that the document has nothing for are left out."""
    measured = suites(document)
    made = [_stairs(document), _speed_ups(document), _against_ceilings(document), _scaling(document)]
    made += [_suboptimality(peers)] if peers is not None else []
    made.append(_memory(document))
    if measured:
        every = tuple(suite_table(document, suite) for suite in measured)
        made.append(Section("Every figure", notes=NOTES, tables=every))
    made.append(_skipped(document))
    return [section for section in made if not section.empty]


def _stairs(document: BenchDocument) -> Section:
    title = "From the loop to the GPU"
    size, steps = plots.staircase_steps(document)
    if not steps:
        return Section(title, absent=("not measured here: the document holds no dot product (suite dot).",))
    absent = tuple(f"{step.name}: not measured here: {step.reason}" for step in steps if step.seconds is None)
    measured = [step for step in steps if step.seconds is not None and step.engine]
    values = [step.seconds.value for step in measured if step.seconds is not None]
    best = min(range(len(values)), key=values.__getitem__)
    factor = significant(values[0] / values[best])
    sentence = (
        f"{measured[best].name} takes the dot product of {size:,} numbers {factor} times as fast as the "
        f"{measured[0].name}."
    )
    picture = Picture(
        "staircase",
        staircase(f"One dot product of {size:,} numbers", steps),
        f"A staircase of the times of one dot product of {size:,} numbers: "
        + ", ".join(step.name for step in measured),
        "Each step names how many times faster it is than the step above it; at the right, than the "
        f"{measured[0].name}. A bar behind a dot is the 95 % interval of its median.",
    )
    return Section(title, (picture,), (sentence,) if best else (), absent=absent)


def _speed_ups(document: BenchDocument) -> Section:
    title = "Speed-up against size"
    ways = plots.dot_ways(document)
    sizes = {size for one in ways for size in one.samples}
    if len(sizes) < 2:
        return Section(title)  # one length is the staircase's, not a curve
    crossed = plots.dot_crossings(ways)
    base = ways[0]
    picture = Picture(
        "speed-up",
        speed_up(
            f"Dot product: times faster than\n{base.name}", "length of the vectors", base, ways, crossed
        ),
        "Speed-up of every way to take a dot product against the length of the vectors, log-log",
        "Bands: 95 % bootstrap intervals of the ratio of medians."
        + (" Bars along the foot: between these two lengths the order changes." if crossed else ""),
    )
    sentences = tuple(one.in_words("numbers") for one in crossed) or (
        "Nothing overtakes anything between the lengths measured.",
    )
    return Section(title, (picture,), sentences)


def _against_ceilings(document: BenchDocument) -> Section:
    title = "Passes against the machine's ceilings"
    pictures = tuple(
        Picture(
            f"roofline-{place}",
            svg,
            f"Roofline of the passes on the {place}: achieved flops per second against flops per byte of X",
            "Higher is faster. Left of a corner memory is the limit, right of it arithmetic; the ceilings "
            "were measured in the same run, but for products of 8 bits, which may lie above. Hollow: X "
            "stayed in a cache, which can be faster than memory. "
            "Point at a mark to read what it is.",
        )
        for place, svg in plots.rooflines(document).items()
    )
    if not pictures and any(record.suite == "pass" for record in document.records):
        return Section(title, absent=("not drawn: the passes carry no flops, or no ceiling was measured.",))
    return Section(title, pictures)


def _scaling(document: BenchDocument) -> Section:
    pictures = tuple(
        Picture(
            f"scaling-{axis}",
            plots.scaling(axis, found, document.ceilings),
            f"How the time of a pass or a fit changes with the number of {axis}",
            plots.CAPTIONS[axis],
        )
        for axis, found in plots.curves(document).items()
    )
    return Section("Scaling", pictures)


def _suboptimality(peers: Path) -> Section:
    shapes = map(peers_plot.shape_of, read_peers(peers))
    pictures = tuple(
        Picture(
            f"peers-{shape.name}",
            peers_plot.panel(shape),
            f"Suboptimality against time on {shape.name}, both axes logarithmic, one line a solver",
            "Nearer to the lower left is better. Each point is one tolerance; its time is the median of its "
            "rounds, warm, and J* an independent optimum. Dashed: 1e-6, from where a peer is compared, and "
            "1e-8, what our default promises."
            + (f" In grey: {', '.join(shape.unnamed)}." if shape.unnamed else ""),
        )
        for shape in shapes
        if shape.lines
    )
    return Section("Suboptimality against time, beside other libraries", pictures, ours=False)


def _memory(document: BenchDocument) -> Section:
    svg = plots.memory(document)
    if svg is None:
        return Section("Memory")
    picture = Picture(
        "memory",
        svg,
        "Extra memory at the peak of a call, in percent of X, one bar a benchmark",
        "What one call takes besides X itself, at its peak.",
    )
    return Section("Memory", (picture,))


def _skipped(document: BenchDocument) -> Section:
    if not document.skipped:
        return Section("Not measured here")
    reasons = by_reason(document.skipped).items()
    rows = tuple((f"{len(names):,}", reason, some(names, 6)) for reason, names in reasons)
    left_out = Table("Benchmarks left out, by reason", ("how many", "reason", "which"), rows)
    return Section("Not measured here", tables=(left_out,))
