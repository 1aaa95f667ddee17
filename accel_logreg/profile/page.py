"""A profile as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accel_logreg.measure.page import render
from accel_logreg.profile import findings as profile_findings
from accel_logreg.profile.result import Profile


def to_html(profile: Profile, pictures: Mapping[str, bytes]) -> str:
    """The page, with the pictures "roofline" and "stages" inside."""
    return render(
        Path(__file__).with_name("profile.html"),
        pictures,
        profile=profile,
        machine=profile.machine,
        facts=profile_findings.facts(profile),
        cautions=profile_findings.cautions(profile),
        tables=profile_findings.tables(profile),
    )
