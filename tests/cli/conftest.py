"""The table and its model, which most commands are given.

Imported inside: where the command line's packages are missing, its tests are skipped, not this file refused.
"""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def table(tmp_path: Path) -> Path:
    from support.command_line import write_table

    return write_table(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from support.command_line import train_model

    return train_model(tmp_path)
