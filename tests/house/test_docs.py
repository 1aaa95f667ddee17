"""The pages of docs/: all are in the site, all links and pictures there, nothing from a network."""

from __future__ import annotations

import re
from pathlib import Path

import accel_logreg

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SITE = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}


def test_every_page_is_in_the_site_once() -> None:
    listed = re.findall(r": ([\w.-]+\.md)$", SITE, re.MULTILINE)
    assert sorted(listed) == sorted(PAGES)


def test_links_and_pictures_of_the_pages_are_there() -> None:
    for name, text in PAGES.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            assert (DOCS / target).is_file(), f"{name}: {target}"


def test_the_site_asks_for_nothing_outside() -> None:
    assert "font: false" in SITE
    assert "polyfills: [iframe-worker.js]" in SITE  # else Material's offline plugin names one in a network
    assert (DOCS / "iframe-worker.js").is_file()
    assert "http" not in SITE


def test_the_reference_has_every_public_name() -> None:
    listed = re.findall(r"^::: accel_logreg\.(\w+)$", PAGES["reference.md"], re.MULTILINE)
    assert sorted(listed) == sorted(accel_logreg.__all__)


def test_words_are_explained_in_order() -> None:
    """One glossary: the words that our pages use in a sense of their own."""
    words = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", PAGES["glossary.md"], re.MULTILINE)[2:]
    assert {"crop", "engine", "gap", "kernel", "pass, read of X", "question", "low precision"} <= set(words)
