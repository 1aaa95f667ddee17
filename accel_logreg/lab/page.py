"""A report as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined


def render(template: str, pictures: Mapping[str, bytes], **context: Any) -> str:
    """The page made from a template of this folder, with its style and its PNG pictures inside."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    encoded = {name: base64.b64encode(png).decode("ascii") for name, png in pictures.items()}
    return environment.get_template(template).render(pictures=encoded, **context)


def _template(name: str) -> str:
    return (files("accel_logreg.lab") / name).read_text(encoding="utf-8")
