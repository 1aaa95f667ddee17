"""Matplotlib's figures as SVG that follows the reader's light or dark theme.

Colours become variables of plots.css, words stay words, and nothing else is kept of what would grow the
file: no metadata, no ids that nothing refers to. A picture is whole as a file of its own, with those
variables inside, and goes into a page without them.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from io import BytesIO
from xml.sax.saxutils import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
# Okabe and Ito's colours, as variables that a dark page makes lighter.
NAMES = {
    "#d55e00": "vermilion", "#e69f00": "orange", "#56b4e9": "sky", "#009e73": "green", "#0072b2": "blue",
    "#cc79a7": "purple",
}  # fmt: skip
DPI = 150  # of photographs inside
JPEG_QUALITY = 88
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"font: (?P<words>.*?)(?P<size>\d[\d.]*)px [^;]*;?")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_STYLE = "\n".join(("<style>", "{css}", "</style>"))


def to_svg(figure: Figure, titles: Mapping[str, str] | None = None) -> bytes:
    """The figure as a file of its own, on transparent ground; the same figure gives the same bytes.

    titles : gid of an artist → what a browser shows when the pointer rests on it.
    """
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "accel_logreg", "svg.fonttype": "none"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True, dpi=DPI)
    root = ET.fromstring(buffer.getvalue())
    _drop(root)
    for element in root.iter():
        _theme(element)
        _shorten(element)
    _name(root, titles or {})
    _keep_ids_in_use(root)
    for name in ("width", "height"):
        root.set(name, root.get(name, "").removesuffix("pt"))
    root.set("class", "plot")
    ET.register_namespace("", SVG[1:-1])
    text = ET.tostring(root, encoding="unicode")
    head, rest = text.split(">", 1)
    return f"{head}>{_STYLE.format(css=theme())}{rest}\n".encode()


def inline(svg: bytes, name: str, title: str) -> str:
    """The element to put into a page that has the theme: ids made its own by ``name``, and a title."""
    text = re.sub(r"<style>.*?</style>", "", svg.decode(), count=1, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    label = f"{name}-title"
    head, rest = text.split(">", 1)
    named = f'<title id="{label}">{escape(title)}</title>'
    return f'{head} role="img" aria-labelledby="{label}">{named}{rest}'.strip()


@cache
def theme() -> str:
    """plots.css: the variables, for light and for dark."""
    return (files(__package__) / "plots.css").read_text(encoding="utf-8")


def _drop(root: ET.Element) -> None:
    """Metadata, and the style that would reach out over a whole page; plots.css has the same."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{SVG}metadata", f"{SVG}style"):
                parent.remove(child)


def _theme(element: ET.Element) -> None:
    style = element.get("style")
    if style:
        words = element.tag in (f"{SVG}text", f"{SVG}tspan")
        style = _HEX.sub(lambda match: _variable(match.group(), words), style)
        # The family is the page's; Matplotlib would name its own for every word.
        style = re.sub(r"font-family: [^;]*;?", "", _FONT.sub(_font, style))
        element.set("style", re.sub(r"\s*([:;])\s*", r"\1", style).strip("; "))
    if (link := element.attrib.pop(f"{XLINK}href", None)) is not None:
        element.set("href", _smaller(link))


def _font(match: re.Match[str]) -> str:
    """ "font: italic 700 11px 'DejaVu Sans'" without the family."""
    words, size = match["words"], match["size"]
    weight = f"font-weight: {number.group()};" if (number := re.search(r"\d+|bold", words)) else ""
    return f"font-size: {size}px;{'font-style: italic;' if 'italic' in words else ''}{weight}"


def _variable(colour: str, words: bool) -> str:
    if colour in NAMES:
        return f"var(--{NAMES[colour]}{'-text' if words else ''})"
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    if not red == green == blue:
        return colour  # a colour scale's: the same in both themes
    if red <= 0x33:
        return "var(--ink)"
    if words or red <= 0x80:
        return "var(--soft)"
    return "var(--faint)" if red < 0xFA else "var(--paper)"


def _smaller(link: str) -> str:
    """A photograph as JPEG where that takes less: its PNG would be most of the page."""
    prefix = "data:image/png;base64,"
    if not link.startswith(prefix):
        return link
    from PIL import Image

    png = base64.b64decode(link.removeprefix(prefix))
    picture = Image.open(BytesIO(png))
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema()[0] != 255:
        return link  # see-through, which JPEG cannot be
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    if 3 * len(buffer.getvalue()) > len(png):
        return prefix + base64.b64encode(png).decode()
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _shorten(element: ET.Element) -> None:
    """Hundredths of a point are finer than any screen; indents are for nobody."""
    if not (element.text or "").strip():
        element.text = None
    if not (element.tail or "").strip():
        element.tail = None
    for name in ("d", "transform", "x", "y", "width", "height"):
        value = element.get(name)
        if value and not value.startswith("matrix"):
            element.set(
                name, _NUMBER.sub(lambda match: f"{float(match.group()):.2f}", " ".join(value.split()))
            )


def _name(root: ET.Element, titles: Mapping[str, str]) -> None:
    for element in root.iter():
        if (words := titles.get(element.get("id", ""))) is not None:
            title = ET.Element(f"{SVG}title")
            title.text = words
            element.insert(0, title)


def _keep_ids_in_use(root: ET.Element) -> None:
    used = set(_references(root))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        for value in element.attrib.values():
            yield from re.findall(r"url\(#([^)]+)\)", value)
            if value.startswith("#"):
                yield value[1:]
