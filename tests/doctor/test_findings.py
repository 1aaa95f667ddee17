"""The doctor's findings on made-up machines: each trouble comes with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from accel_logreg.backends import BackendUnavailableError
from accel_logreg.doctor import findings as doctor
from accel_logreg.doctor.findings import Finding
from accel_logreg.measure.machine import Gpu, Machine, describe

H100 = Gpu("NVIDIA H100", 80_000_000_000, "9.0")


@pytest.fixture(scope="module")
def here() -> Machine:
    return describe()


@pytest.fixture
def plain(here: Machine) -> Machine:
    """This machine without a GPU, whatever it has."""
    return replace(here, gpus=(), gpu_trouble="no library", driver=None, cuda=None, cpu_quota=None)


@pytest.fixture
def with_gpu(plain: Machine) -> Machine:
    return replace(plain, gpus=(H100,), gpu_trouble="", driver="570.1", cuda="12.8", nvrtc="12.8")


@pytest.fixture
def cupy_packages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The CuPy packages that the doctor sees; a test fills the list."""
    names: list[str] = []
    monkeypatch.setattr(doctor, "cupy_distributions", lambda: names)
    return names


def troubles(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "trouble"]


def test_examination_of_this_machine(here: Machine) -> None:
    sections = doctor.examine(here, measure=False)
    assert [section.title for section in sections] == [
        "Engines",
        "Packages",
        "Processor",
        "GPU",
        "Compiled code",
    ]
    assert all(section.findings for section in sections)
    engines = [finding.text for finding in sections[0].findings]
    assert engines[0].startswith("python runs")
    assert engines[1].startswith("numpy runs")
    for section in sections:
        for finding in troubles(section.findings):
            assert finding.remedy, f"no remedy for: {finding.text}"


def test_a_missing_gpu_is_no_trouble_but_a_missing_numba_is(plain: Machine) -> None:
    status = {name: BackendUnavailableError(name, "Broken.", "Mend it.") for name in ("numba", "cupy")}
    numba, cupy = doctor.engine_findings({**status}, plain)
    assert numba == Finding("trouble", "numba cannot run: Broken.", "Mend it.")
    assert cupy == Finding("note", "cupy cannot run: Broken.", "Mend it.")


def test_an_idle_cupy_beside_a_gpu_is_trouble(with_gpu: Machine) -> None:
    (finding,) = doctor.engine_findings(
        {"cupy": BackendUnavailableError("cupy", "Broken.", "Mend.")}, with_gpu
    )
    assert finding.level == "trouble"


@pytest.mark.parametrize(("running", "fast"), [("numba", True), ("cupy", True), ("numpy", False)])
def test_runs_fast(running: str, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BackendUnavailableError("x", "Broken.", "Mend it.")
    status = {name: None if name == running else broken for name in ("python", "numpy", "numba", "cupy")}
    monkeypatch.setattr(doctor, "backend_status", lambda: status)
    assert doctor.runs_fast() is fast


@pytest.mark.parametrize(("cuda", "extra"), [("12.8", "cuda12"), ("13.0", "cuda13"), (None, "cuda13")])
def test_two_cupy_packages(cuda: str | None, extra: str, plain: Machine, cupy_packages: list[str]) -> None:
    cupy_packages += ["cupy", "cupy-cuda12x"]
    (trouble,) = troubles(doctor.package_findings(replace(plain, cuda=cuda)))
    assert "overwrite each other" in trouble.text
    assert trouble.remedy == f'pip uninstall -y cupy cupy-cuda12x && pip install "accel_logreg[{extra}]"'


def test_missing_lab_packages_are_named(plain: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LAB_PACKAGES", ("rich", "no-such-package"))
    (note,) = [finding for finding in doctor.package_findings(plain) if finding.level == "note"]
    assert note.text.startswith("missing: no-such-package;")
    assert note.remedy == 'pip install "accel_logreg[lab]"'


def test_a_container_that_may_use_less_than_it_sees(plain: Machine) -> None:
    (trouble,) = troubles(doctor.processor_findings(replace(plain, usable_cores=64, cpu_quota=2.5)))
    assert "may use 2.5 cores but sees 64" in trouble.text
    assert trouble.remedy == "export NUMBA_NUM_THREADS=2 OMP_NUM_THREADS=2"
    assert not troubles(doctor.processor_findings(replace(plain, usable_cores=2, cpu_quota=2.0)))


def test_no_gpu(plain: Machine) -> None:
    assert list(doctor.gpu_findings(plain)) == [Finding("note", "no NVIDIA GPU: no library")]


def test_a_hidden_or_failing_gpu(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = replace(with_gpu, gpus=(), gpu_trouble="cuInit failed")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (trouble,) = troubles(doctor.gpu_findings(lost))
    assert trouble.text == "no usable GPU: cuInit failed (driver 570.1, runs CUDA up to 12.8)"
    assert trouble.remedy.startswith("nvidia-smi")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert next(doctor.gpu_findings(lost)).remedy == "unset CUDA_VISIBLE_DEVICES"


def test_a_healthy_gpu(with_gpu: Machine, cupy_packages: list[str]) -> None:
    cupy_packages.append("cupy-cuda12x")
    findings = list(doctor.gpu_findings(with_gpu))
    assert {finding.level for finding in findings} == {"ok"}
    assert findings[0].text == "NVIDIA H100, 74.5 GiB, compute capability 9.0"
    assert findings[-1].text == "NVRTC 12.8"


def test_gpu_troubles(with_gpu: Machine, cupy_packages: list[str]) -> None:
    assert list(doctor.gpu_findings(with_gpu))[-1].remedy == 'pip install "accel_logreg[cuda12]"'
    cupy_packages.append("cupy-cuda13x")
    (newer,) = troubles(doctor.gpu_findings(with_gpu))
    assert newer.text == "cupy-cuda13x is for a newer CUDA than the driver's 12.8"
    assert newer.remedy == 'pip uninstall -y cupy-cuda13x && pip install "accel_logreg[cuda12]"'
    cupy_packages[:] = ["cupy-cuda12x"]
    (compiler,) = troubles(doctor.gpu_findings(replace(with_gpu, nvrtc=None)))
    assert "no NVRTC" in compiler.text
    (old,) = troubles(doctor.gpu_findings(replace(with_gpu, gpus=(Gpu("Tesla K80", 12, "3.7"),))))
    assert "need 7.0 or newer" in old.text


def test_a_busy_machine_is_named(plain: Machine) -> None:
    cores = plain.usable_cores
    assert list(doctor.busy_findings(plain, 0.2 * cores)) == []
    (finding,) = doctor.busy_findings(plain, 0.75 * cores)
    assert finding.level == "note"
    assert f"kept about {0.75 * cores:.1f} of {cores} cores busy" in finding.text


def test_bandwidth_says_when_a_cache_holds_it(plain: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def rate(*, megabytes: int) -> float:
        asked.append(megabytes)
        return 25e9

    monkeypatch.setattr(doctor, "read_bandwidth", rate)
    roomy = replace(plain, memory_bytes=64_000_000_000, cache_bytes={"L3": 500_000_000})
    (finding,) = doctor.bandwidth_findings(roomy)
    assert finding == Finding("ok", "reads 25.0 GB/s from an array of 2.00 GB")
    (note,) = doctor.bandwidth_findings(replace(roomy, memory_bytes=4_000_000_000))
    assert note.level == "note"
    assert asked == [2000, 500]


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_numba_cache", lambda: None)
    (finding,) = doctor.cache_findings()
    assert finding.level == "trouble"
    assert finding.remedy.startswith("export NUMBA_CACHE_DIR=")


def test_the_cache_is_shown() -> None:
    (finding,) = doctor.cache_findings()
    assert "compiled kernels" in finding.text or "compile again" in finding.text
