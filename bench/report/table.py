"""What a benchmark document says in words: its records in tables, its machine, and whether that was quiet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from accel_logreg.backends import BACKENDS
from accel_logreg.measure.intervals import Interval, ratio_interval
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import (
    in_bytes,
    in_flops,
    in_memory,
    in_percent,
    in_words,
    significant,
)
from bench.report.ceilings import FROM_CACHE
from bench.report.document import BenchDocument, Record, by_reason

NOT_TOLD = "not recorded"
_QUESTIONS = {
    "dot": "A dot product, by loop and by engine",
    "pass": "One pass over X: the questions that solvers ask",
    "csr": "One pass over sparse X",
    "descent": "Gradient descent, the loop inside the engine",
    "fit": "Whole fits",
    "overhead": "Small problems: what a call costs by itself",
    "memory": "Extra memory at the peak of a call",
    "scaling": "How it grows with rows, columns and threads",
}
NOTES = (
    "Median and interval: of one call; the interval by bootstrap, 95 %, empty with fewer than five rounds.",
    'Times faster: than the simplest engine on the same problem, named in the column "than".',
    "Ceiling: bytes or flops per second in percent of the machine's own limit, measured in the same run.",
    "Nothing is above 100 %: where a benchmark exceeded a ceiling, the best rate seen takes its place.",
)
_OMITTED_IN_TEXT = ("what", "ceiling", "kind", "of X", "cache", "transfer")


def way(record: Record) -> str:
    """The record's label, its engine not said twice: "numba, one thread", "np.dot"."""
    named = record.engine in record.version or record.version.startswith("np.")
    return record.version if named else record.label


def baseline(record: Record) -> str:
    """What others are so many times faster than: "the Python loop", "the loop over lists", "numpy"."""
    if record.engine != "python":
        return way(record)
    version = record.version.removeprefix("python, ")
    if version.startswith("loop"):
        return f"the {version}"
    return f"the Python loop ({version})" if version else "the Python loop"


def in_rate(ceiling: str, rate: float) -> str:
    """A rate with the unit of its ceiling: products are counted in flops, all else in bytes."""
    return f"{(in_flops if 'product' in ceiling else in_bytes)(rate)}/s"


def in_counts(value: float) -> str:
    """3, 2.25: reads of X need not be whole."""
    return f"{value:.4g}" if value < 1e4 else f"{value:,.0f}"


def plain_lines(table: Table) -> list[str]:
    """Title, column names and rows, each column as wide as its widest cell."""
    rows = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [table.title, *(line.rstrip() for line in lines)]


def order(record: Record) -> int:
    """From the slowest idea to the fastest."""
    names = list(BACKENDS)
    return names.index(record.engine) if record.engine in names else len(names)


def base_of(record: Record, group: Sequence[Record]) -> Record:
    """What a record is compared with: the first of the simplest engine on the same problem, in its group."""
    same = [one for one in group if (one.shape, one.dtype) == (record.shape, record.dtype)]
    return min(same, key=order)


def faster(record: Record, base: Record) -> Interval:
    """How many times faster than ``base``; paired where both were timed in the same rounds."""
    paired = record.interleaved and base.interleaved and len(record.seconds) == len(base.seconds)
    return ratio_interval(base.seconds, record.seconds, paired=paired)


def share_of_X(record: Record) -> float | None:
    """Extra memory in percent of X; None where either is not known."""
    if record.peak_bytes is None:
        return None
    if (percent := record.extra.get("percent_of_X")) is not None:
        return float(percent)
    if record.bytes_moved and record.reads:  # one read of X moves its bytes
        return 100.0 * record.peak_bytes * record.reads / record.bytes_moved
    return None


def _interval(record: Record) -> str:
    low, high = record.interval
    return f"{in_words(low)} to {in_words(high)}" if low == low and high == high else ""


def _said(say: Callable[[Any], str], value: Callable[[Record], Any]) -> Callable[[Record], str]:
    """A cell that is empty where the record does not tell."""
    return lambda record: "" if (known := value(record)) is None else say(known)


def _rate(amount: float | None, seconds: float) -> str:
    return significant(amount / seconds / 1e9) if amount else ""


_COLUMNS: dict[str, Callable[[Record], str]] = {
    "what": lambda record: record.group,
    "way": way,
    "median": lambda record: in_words(record.median_seconds),
    "interval": _interval,
    "times faster": str,  # these two look at the others of the group as well
    "than": str,
    "GB/s": lambda record: _rate(record.bytes_moved, record.median_seconds),
    "GFLOP/s": lambda record: _rate(record.flops, record.median_seconds),
    "of ceiling": _said(in_percent, lambda record: record.percent_of_ceiling),
    "ceiling": lambda record: (
        "none: X came from a cache" if FROM_CACHE in record.extra else record.ceiling_of
    ),
    "of a plain sum": _said(in_percent, lambda record: record.extra.get("percent_of_plain_sum")),
    "reads": lambda record: in_counts(record.reads) if record.reads else "",
    "gap": _said("{:.1e}".format, lambda record: record.gap),
    "kind": lambda record: "" if record.gap is None else record.gap_kind,
    "(J − J*)/J*": _said("{:.1e}".format, lambda record: record.suboptimality),
    "extra memory": _said(in_bytes, lambda record: record.peak_bytes),
    "of X": _said(in_percent, share_of_X),
    "threads": lambda record: str(record.threads or ""),
    "cache": lambda record: record.cache,
    "solver": lambda record: record.solver,
    "first call": _said(in_words, lambda record: record.first_seconds),
    "compiling": _said(in_words, lambda record: record.compile_seconds),
    "transfer": _said(in_words, lambda record: record.transfer_seconds),
}


def record_table(
    title: str, records: Sequence[Record], document: BenchDocument, omitted: Collection[str] = ()
) -> Table:
    """One row a benchmark, without the columns that say nothing here."""
    groups = document.groups()
    bases = [base_of(record, groups[record.group]) for record in records]
    cells = {name: [say(record) for record in records] for name, say in _COLUMNS.items()}
    pairs = list(zip(records, bases, strict=True))
    cells["times faster"] = ["" if base is one else faster(one, base).factor() for one, base in pairs]
    cells["than"] = ["" if base is one else baseline(base) for one, base in pairs]
    shown = [name for name, column in cells.items() if any(column) and name not in omitted]
    return Table(title, tuple(shown), tuple(zip(*(cells[name] for name in shown), strict=True)))


def suites(document: BenchDocument) -> list[str]:
    """The suites that have records, in the order they ran."""
    return list(dict.fromkeys(record.suite for record in document.records))


def suite_table(document: BenchDocument, suite: str) -> Table:
    """All of one suite."""
    records = [record for record in document.records if record.suite == suite]
    return record_table(_QUESTIONS.get(suite, f"Suite {suite}"), records, document)


def text(document: BenchDocument) -> str:
    """Every group, fastest first; what was skipped and why, ceilings, and whether the machine was quiet.

    A busy machine is said before all figures, and again with each group, which may be copied alone.
    """
    blocks = [[found.words]] if (found := verdict(document)).quiet is False else []
    busy = " [busy machine]" if blocks else ""
    for group, records in document.groups().items():
        in_turns = len(records) > 1 and all(one.interleaved for one in records)
        turns = (" (in turns)" if in_turns else "") + busy
        ordered = sorted(records, key=lambda record: record.median_seconds)
        blocks.append(plain_lines(record_table(group + turns, ordered, document, _OMITTED_IN_TEXT)))
    if document.skipped:
        reasons = by_reason(document.skipped).items()
        blocks.append(["not run:", *(f"  {some(names, 1)}: {reason}" for reason, names in reasons)])
    measured = [f"  {name}: {rate}" for name, rate in ceilings(document)]
    blocks.append(["ceilings, measured in this run:", *measured])
    if document.noise:
        blocks.append([f"noise: {verdict(document).words}"])
    return "\n\n".join(map("\n".join, blocks))


def some(names: Sequence[str], most: int) -> str:
    """The first of them, without their folders, and how many more."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(name.rpartition("/")[2] for name in names[:most]) + more


@dataclass(frozen=True)
class Verdict:
    """quiet : bool or None where the run did not tell; words : one or two sentences."""

    quiet: bool | None
    words: str


def verdict(document: BenchDocument) -> Verdict:
    """Whether anything may be concluded from the times."""
    known = {
        name: float(value)
        for name, value in document.noise.items()
        if isinstance(value, int | float) and value == value
    }
    warning = str(document.noise.get("warning") or "")  # which says by how much fixed work varied
    says = {
        "relative": "" if warning else "a fixed piece of work varied by {:.1%} during the run",
        "load_average": "the load average of the minute before was {:.2f}",
        "stolen": "the host gave {:.1%} of the time to others",
    }
    parts = [words.format(known[name]) for name, words in says.items() if words and name in known]
    if drift := known.get("drift"):
        parts.append(f"at its end fixed work was {abs(drift):.1%} {'slower' if drift > 0 else 'faster'}")
    details = _sentence(", ".join(parts))
    if warning:
        words = (
            f"The machine was busy: conclude nothing from small differences. {_sentence(warning)} {details}"
        )
        return Verdict(False, words.strip())
    if not parts:
        return Verdict(None, "Whether the machine was quiet is not recorded: take differences with care.")
    return Verdict(True, f"Quiet enough to compare. {details}")


def facts(document: BenchDocument) -> list[tuple[str, str]]:
    """(name, value), what the machine did not tell left out."""
    machine = document.machine
    cores, quota = machine.get("usable_cores"), machine.get("cpu_quota")
    limited = f", limited to {quota:g}" if quota else ""
    threads = sorted({record.threads for record in document.records if record.threads})
    blas = [f"{one['name']} {one['version']} ({one['threads']} threads)" for one in machine.get("blas") or ()]
    pairs = [
        ("processor", str(machine.get("cpu") or NOT_TOLD)),
        ("cores", f"{cores} usable of {machine.get('logical_cores')}{limited}" if cores else ""),
        ("threads used", ", ".join(map(str, threads))),
        ("caches", _listed({name: in_memory(size) for name, size in machine.get("cache_bytes", {}).items()})),
        ("memory", in_memory(machine["memory_bytes"]) if machine.get("memory_bytes") else ""),
        ("GPU", _gpu(machine)),
        ("system", str(machine.get("platform") or "")),
        ("Python", str(machine.get("python") or "")),
        ("packages", _listed(machine.get("packages", {}))),
        ("BLAS", ", ".join(blas)),
        ("date", str(machine.get("date") or NOT_TOLD)),
        ("revision", document.revision or NOT_TOLD),
        ("command", f"{document.command} ({document.mode})"),
    ]
    return [(name, value) for name, value in pairs if value]


def ceilings(document: BenchDocument) -> list[tuple[str, str]]:
    """Every ceiling, and what it was measured at where a benchmark exceeded it."""
    found = []
    for name, rate in document.ceilings.items():
        words = in_rate(name, rate)
        if name in document.exceeded:
            words += (
                f", the best rate seen: measured by itself it was {in_rate(name, document.exceeded[name])}"
            )
        found.append((name, words))
    return found


def _listed(named: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items() if value)


def _gpu(machine: dict[str, Any]) -> str:
    gpus = machine.get("gpus") or ()
    if not gpus:
        return f"none: {machine.get('gpu_trouble') or 'no reason recorded'}"
    words = [str(gpu.get("name", "unnamed")) for gpu in gpus]
    versions = [f"{name} {machine[name]}" for name in ("driver", "cuda", "nvrtc") if machine.get(name)]
    return "; ".join(words + versions)


def _sentence(words: str) -> str:
    words = words.strip()
    return words and words[0].upper() + words[1:].rstrip(".") + "."
