"""Stands in for hypothesis where it is not installed: property tests are skipped, the others still run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


class _Anything(ModuleType):
    """Any attribute, call or union of these is another of them."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name)

    def __call__(self, *_arguments: Any, **_options: Any) -> Any:
        return self

    def __or__(self, _other: Any) -> Any:
        return self


def _given(*_strategies: Any, **_named: Any) -> Callable[[Any], Any]:
    def decorate(test: Any) -> Any:
        def skipped() -> None:
            pytest.skip("hypothesis is not installed")

        skipped.__name__ = test.__name__
        return skipped

    return decorate


def _settings(*_arguments: Any, **_options: Any) -> Callable[[Any], Any]:
    return lambda test: test


def install() -> None:
    """Make ``import hypothesis`` give this module's stand-ins."""
    module: Any = _Anything("hypothesis")
    module.given, module.settings = _given, _settings
    sys.modules["hypothesis"] = module
    sys.modules["hypothesis.strategies"] = module.strategies = _Anything("hypothesis.strategies")
