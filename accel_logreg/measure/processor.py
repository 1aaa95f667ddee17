"""Which processor this is, as /proc/cpuinfo tells it: fine enough that two generations are two.

A hypervisor may call every generation "AMD EPYC"; family, model and stepping are then what differs, and with
them the widest vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Widest first: what the flags (x86) or features (ARM) of a core have to hold.
_VECTORS = {
    "AVX-512": "avx512f", "AVX2": "avx2", "AVX": "avx", "SSE4.2": "sse4_2",
    "SVE2": "sve2", "SVE": "sve", "NEON": "asimd",
}  # fmt: skip
_X86 = {"family": "cpu family", "model": "model", "stepping": "stepping"}
_ARM = {name: f"CPU {name}" for name in ("implementer", "part", "variant", "revision")}


@dataclass(frozen=True)
class Processor:
    """What was not told is empty, or 0.

    name : as the processor, or who rents it out, calls it; ARM tells none
    identity : "family 26 model 2 stepping 1", or "implementer 0x41 part 0xd0c variant 0x3 revision 1"
    vectors : the widest instruction set, "AVX-512"
    cores : without the threads that share one
    """

    name: str = ""
    identity: str = ""
    vectors: str = ""
    cores: int = 0


def of_cpuinfo(lines: Sequence[str]) -> Processor:
    """The processor in the lines of /proc/cpuinfo."""
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    flags = set((first.get("flags") or first.get("Features") or "").split())
    words = [f"{word} {first[name]}" for word, name in (_X86 | _ARM).items() if name in first]
    cores, place = set(), ""
    for name, value in pairs:
        if name == "physical id":
            place = value
        elif name == "core id":
            cores.add((place, value))
    return Processor(
        first.get("model name", ""),
        " ".join(words),
        next((vectors for vectors, flag in _VECTORS.items() if flag in flags), ""),
        len(cores) or sum(name == "processor" for name, _ in pairs),
    )
