"""bench/results/README.md names every field of the format, and says where every file comes from."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bench.report.document import BenchDocument, Record
from bench.report.results_file import VERSION, read

RESULTS = Path(__file__).parents[3] / "bench" / "results"
TEXT = (RESULTS / "README.md").read_text(encoding="utf-8")


def named_in_tables(heading: str) -> set[str]:
    """The names in the first column of a section's table."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| ([^|]*) \|", section, flags=re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(("heading", "kind"), [("The run", BenchDocument), ("A record", Record)])
def test_every_field_is_explained_and_none_is_invented(heading: str, kind: type) -> None:
    assert named_in_tables(heading) == {field.name for field in fields(kind)}


def test_the_version_is_the_one_that_is_read() -> None:
    assert f"format version {VERSION};" in TEXT


def test_every_file_here_is_of_a_kind_that_is_explained() -> None:
    kinds = [name.partition("<")[0] for name in re.findall(r"^\| `([^`]+\.json)`", TEXT, flags=re.MULTILINE)]
    assert kinds == ["cpu-", "gpu-", "peers-cpu-"]
    for path in RESULTS.glob("*.json"):
        assert path.name.startswith(tuple(kinds)), path.name


def test_no_file_here_was_measured_on_a_busy_machine() -> None:
    """A baseline that warns of itself is none; the README says that there is none then."""
    kept = [path for path in RESULTS.glob("*.json") if not path.name.startswith("peers-")]
    assert [path.name for path in kept if read(path).noise.get("warning")] == []
    assert ("No `cpu-` and no `gpu-` file is here now" in TEXT) == (not kept)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    for link in links:
        assert (RESULTS / link).exists(), link
