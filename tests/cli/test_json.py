"""--json prints in every command; where it took a file once, that use is refused with the remedy."""

from __future__ import annotations

import pytest
from support.command_line import refused, testing


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("profile", "--json", "f.json"), "write --json-file f.json"),
        (("profile", "--json=f.json", "--rows", "100"), "write --json-file f.json"),
        (("profile", "--json", "-", "--rows", "100"), "leave the '-' out"),
        (("probe", "X.npz", "--json", "f.json", "--seed", "4"), "write --json-file f.json"),
        (("compare", "a.json", "b.json", "--json", "c.json"), "write --json-file c.json"),
        (("compare", "--revisions", "main", "HEAD", "--json", "c.json"), "write --json-file c.json"),
        (("kernels", "--json", "k.json"), "write --json-file k.json"),
    ],
)
def test_a_file_after_json_is_refused_with_the_remedy(arguments: tuple[str, ...], remedy: str) -> None:
    message = " ".join(refused(*arguments).replace("│", " ").split())
    assert f"--json takes no file any more, it prints: {remedy}" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("probe", "--json", "X.npy", "y.txt"), "y.txt"),
        (("compare", "--json", "a.json", "b.json"), "a.json"),
        (("profile", "--json", "--rows", "1"), "rows=1 must be at least 2"),
    ],
)
def test_what_follows_the_flag_may_be_what_is_read(arguments: tuple[str, ...], message: str) -> None:
    """None of these files is there, which is what is told, and not that --json takes none."""
    found = refused(*arguments)
    assert message in found
    assert "any more" not in found


def test_help_says_both() -> None:
    from accel_logreg.cli.app import app

    for command in ("probe", "profile"):
        text = " ".join(testing.CliRunner().invoke(app, [command, "--help"]).output.split())
        assert "--json Print the figures as JSON instead." in text
        assert "Write the figures to this file as JSON; '-' is standard output." in text
        assert "--json-file <" in text
