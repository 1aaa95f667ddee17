"""No figure stands above 100 % of a ceiling: where a rate does, the ceiling is mended, or there is none."""

from __future__ import annotations

import pytest
from support.bench_documents import MACHINE, document, record

from bench.report.ceilings import FROM_CACHE, none_above
from bench.report.document import Record

CACHE = 1 << 20
CEILINGS = {"read bandwidth": 1e9, "float64 product": 1e10}


def bound(name: str, percent: float, of: str = "read bandwidth", size: int = 8 << 20) -> Record:
    """A record at so many percent of a ceiling, of X of so many bytes that is read twice."""
    rate = CEILINGS[of] * percent / 100.0
    told = {"rate": rate, "ceiling": CEILINGS[of], "ceiling_of": of, "percent_of_ceiling": percent}
    return record(name, bytes_moved=2.0 * size, reads=2.0, **told)


def run(*records: Record) -> list[Record]:
    found = none_above(
        document(records, ceilings=CEILINGS, machine={**MACHINE, "cache_bytes": {"L3": CACHE}})
    )
    return list(found.records)


def test_below_their_ceilings_nothing_changes() -> None:
    found = document([bound("a", 40.0), bound("b", 100.0), record("without")], ceilings=CEILINGS)
    assert none_above(found) == found


def test_a_ceiling_that_was_exceeded_is_the_best_rate_seen() -> None:
    found = none_above(
        document(
            [
                bound("fast", 125.0),
                bound("faster", 200.0),
                bound("slow", 50.0),
                bound("x", 90.0, "float64 product"),
            ],
            ceilings=CEILINGS,
        )
    )
    assert [one.percent_of_ceiling for one in found.records] == pytest.approx([62.5, 100.0, 25.0, 90.0])
    assert {one.ceiling for one in found.records[:3]} == {2e9}
    assert found.ceilings == {"read bandwidth": 2e9, "float64 product": 1e10}
    assert found.exceeded == {"read bandwidth": 1e9}
    assert none_above(found) == found  # as when it is read again


def test_what_may_have_come_from_a_cache_has_no_ceiling_and_moves_none() -> None:
    cached, plain = run(bound("in a cache", 480.0, size=CACHE), bound("in memory", 80.0))
    assert (cached.percent_of_ceiling, cached.ceiling, cached.ceiling_of) == (None, None, "")
    assert cached.extra[FROM_CACHE] == "read bandwidth"
    assert plain.percent_of_ceiling == 80.0
    (arithmetic,) = run(bound("products", 110.0, "float64 product", size=CACHE))
    assert arithmetic.percent_of_ceiling == 100.0  # no cache makes products faster
