"""A profile as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping

from accel_logreg.lab import profile_findings
from accel_logreg.lab.page import render
from accel_logreg.lab.profile_result import Profile


def to_html(profile: Profile, pictures: Mapping[str, bytes]) -> str:
    """The page, with the pictures "roofline" and "stages" inside."""
    return render(
        "profile.html",
        pictures,
        profile=profile,
        machine=profile.machine,
        facts=profile_findings.facts(profile),
        cautions=profile_findings.cautions(profile),
        tables=profile_findings.tables(profile),
    )
