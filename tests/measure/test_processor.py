"""Which processor it is, from recorded /proc/cpuinfo, and the names of results that are made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_logreg.measure.machine import Gpu, describe
from accel_logreg.measure.processor import Processor, of_cpuinfo
from bench.run import machine_name

# As the systems printed them, each core once and without lines that nobody reads.
ZEN_5_RENTED = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC
stepping\t: 1
siblings\t: 2
physical id\t: 0
core id\t\t: 0
cpu cores\t: 2
flags\t\t: fpu sse sse2 ht ssse3 fma sse4_1 sse4_2 avx f16c avx2 avx512f avx512dq avx512bw avx512vl avx_vnni
bogomips\t: 5192.24

processor\t: 1
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC
stepping\t: 1
physical id\t: 0
core id\t\t: 1
"""
ZEN_4_RENTED = ZEN_5_RENTED.replace(": 26", ": 25").replace("model\t\t: 2", "model\t\t: 17")
ZEN_4C = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t: 160
model name\t: AMD EPYC 9754 128-Core Processor
stepping\t: 2
physical id\t: 0
siblings\t: 4
core id\t: 0
cpu cores\t: 4
flags\t: fpu sse sse2 ht sse4_1 sse4_2 avx f16c avx2 avx512f avx512dq avx512_bf16 avx512_vnni
"""
SANDY_BRIDGE = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 45
model name\t: Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz
stepping\t: 7
physical id\t: 0
siblings\t: 16
core id\t\t: 0
flags\t\t: fpu sse sse2 ht ssse3 sse4_1 sse4_2 popcnt aes xsave avx lahf_lm

processor\t: 1
physical id\t: 1
core id\t\t: 0

processor\t: 2
physical id\t: 0
core id\t\t: 0
"""
NEOVERSE_N1 = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

processor\t: 1
BogoMIPS\t: 243.75
CPU implementer\t: 0x41
CPU part\t: 0xd0c
"""
HERE = replace(describe(), cpu_quota=None, usable_cores=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ZEN_5_RENTED, Processor("AMD EPYC", "family 26 model 2 stepping 1", "AVX-512", 2)),
        (
            ZEN_4C,
            Processor("AMD EPYC 9754 128-Core Processor", "family 25 model 160 stepping 2", "AVX-512", 1),
        ),
        (
            SANDY_BRIDGE,  # two sockets, and a thread that shares a core
            Processor("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "family 6 model 45 stepping 7", "AVX", 2),
        ),
        (
            NEOVERSE_N1,
            Processor("", "implementer 0x41 part 0xd0c variant 0x3 revision 1", "NEON", 2),
        ),
        ("", Processor()),
    ],
    ids=["Zen 5, rented", "Zen 4c", "Sandy Bridge", "Neoverse N1", "nothing told"],
)
def test_a_processor_is_what_cpuinfo_says(text: str, expected: Processor) -> None:
    assert of_cpuinfo(text.splitlines()) == expected


def name_of(text: str, **changed: object) -> str:
    found = of_cpuinfo(text.splitlines())
    told = {"cpu_id": found.identity, "instruction_set": found.vectors, "physical_cores": found.cores}
    return machine_name(replace(HERE, cpu=found.name, **told, **changed), gpu=False)  # type: ignore[arg-type]


def test_a_name_says_which_processor_and_how_much_of_it() -> None:
    expected = "cpu-amd-epyc-family-26-model-2-stepping-1-avx-512-2-cores-2-threads"
    assert name_of(ZEN_5_RENTED) == expected
    assert name_of(ZEN_5_RENTED, cpu_quota=1.5) == f"{expected}-limit-1-5"


def test_no_two_machines_write_one_file() -> None:
    """Another generation of one marketing name, other cores, and threads that share them."""
    names = [
        name_of(ZEN_5_RENTED),
        name_of(ZEN_4_RENTED),
        name_of(ZEN_5_RENTED.replace("avx512", "not512")),
        name_of(ZEN_5_RENTED, usable_cores=1),
        name_of(ZEN_5_RENTED.replace("core id\t\t: 1", "core id\t\t: 0")),
        name_of(ZEN_5_RENTED, cpu_quota=1.0),
    ]
    assert len(set(names)) == len(names)


def test_a_gpu_names_its_card() -> None:
    card = Gpu("NVIDIA H100 80GB HBM3", 80 << 30, "9.0")
    assert machine_name(replace(HERE, gpus=(card,)), gpu=True) == "gpu-nvidia-h100-80gb-hbm3"
    assert machine_name(replace(HERE, gpus=()), gpu=True) == "gpu"
