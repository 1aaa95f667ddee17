"""How much memory there is: what the system has free, within what a control group allows."""

from __future__ import annotations

import os
from pathlib import Path

CONTROL_GROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
_SHARE = 2  # of what is free


def available_bytes() -> int:
    """Bytes that can be taken without anything being swapped out."""
    free = _free()
    for limit, usage, statistics, reclaimable in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            most = int((CONTROL_GROUP / limit).read_text())
            used = int((CONTROL_GROUP / usage).read_text())
            lines = (CONTROL_GROUP / statistics).read_text().splitlines()
        except (OSError, ValueError):  # no such group, or "max"
            continue
        cached = {name: int(size) for name, _, size in (line.partition(" ") for line in lines)}
        free = min(free, max(0, most - used + cached.get(reclaimable, 0)))
    return free


def default_memory() -> int:
    """What a fit takes of it where nobody says: half."""
    return available_bytes() // _SHARE


def _free() -> int:
    try:
        for line in MEMINFO.read_text().splitlines():
            name, _, size = line.partition(":")
            if name == "MemAvailable":
                return int(size.split()[0]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
