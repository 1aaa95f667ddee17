"""Arrays of other libraries as CuPy's and back, with CuPy and torch played."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from accel_logreg.backends.cupy_fused.device import interchange
from accel_logreg.backends.cupy_fused.device.cuda import CudaDevice
from accel_logreg.backends.cupy_fused.device.interchange import CupyInterchange


class PlayedNdarray:
    """cupy.ndarray, as far as it is asked."""

    size, itemsize, dtype = 12, 4, "float32"

    def __init__(self, ordinal: int = 0, pointer: int = 1 << 20, made_by: str = "") -> None:
        self.device = Entered(ordinal)
        self.data = SimpleNamespace(ptr=pointer)
        self.made_by = made_by


class Entered:
    """cupy.cuda.Device; ``current`` is what the last one entered was."""

    current: list[int]

    def __init__(self, ordinal: int) -> None:
        self.id = ordinal

    def __enter__(self) -> None:
        Entered.current.append(self.id)

    def __exit__(self, *_: object) -> None:
        Entered.current.pop()


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Entered, "current", [0], raising=False)

    def from_dlpack(array: Any) -> PlayedNdarray:
        assert not getattr(array, "requires_grad", False)
        if array.dtype == "torch.bfloat16":
            raise NotImplementedError("CuPy does not support bfloat16 yet")
        return PlayedNdarray(array.__dlpack_device__()[1], made_by="from_dlpack")

    played = SimpleNamespace(
        ndarray=PlayedNdarray,
        from_dlpack=from_dlpack,
        asarray=lambda array: PlayedNdarray(
            Entered.current[-1], array.__cuda_array_interface__["data"][0], made_by="asarray"
        ),
        cuda=SimpleNamespace(
            Device=Entered,
            runtime=SimpleNamespace(
                # Device 1 begins at 2³⁰.
                pointerGetAttributes=lambda pointer: SimpleNamespace(device=int(pointer >= 1 << 30))
            ),
        ),
    )
    monkeypatch.setitem(sys.modules, "cupy", played)
    monkeypatch.setattr(interchange, "cuda_device", lambda ordinal: f"device {ordinal}")
    return played


class Tensor:
    """torch.Tensor."""

    def __init__(self, ordinal: int = 0, dtype: str = "torch.float32", requires_grad: bool = False) -> None:
        self.ordinal, self.dtype, self.requires_grad = ordinal, dtype, requires_grad

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.ordinal

    def detach(self) -> Tensor:
        return Tensor(self.ordinal, self.dtype)


class InterfaceOnly:
    dtype = "float32"

    def __init__(self, pointer: int) -> None:
        self.__cuda_array_interface__ = {"data": (pointer, True), "shape": (3, 4), "typestr": "<f4"}


@pytest.mark.usefixtures("cupy")
def test_arrays_of_cupy_are_taken_as_they_are() -> None:
    array = PlayedNdarray(1)
    device, adopted = CupyInterchange().adopt(array)
    assert adopted is array
    assert device == "device 1"


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("requires_grad", [False, True])
def test_tensors_come_through_dlpack(requires_grad: bool) -> None:
    device, adopted = CupyInterchange().adopt(Tensor(1, requires_grad=requires_grad))
    assert adopted.made_by == "from_dlpack"
    assert device == "device 1"


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(("pointer", "ordinal"), [(1 << 20, 0), ((1 << 30) + 8, 1)])
def test_the_cuda_array_interface_is_read_on_its_own_device(pointer: int, ordinal: int) -> None:
    """CuPy would copy an array of another device than the current one."""
    device, adopted = CupyInterchange().adopt(InterfaceOnly(pointer))
    assert adopted.made_by == "asarray"
    assert device == f"device {ordinal}"
    assert Entered.current == [0]


@pytest.mark.usefixtures("cupy")
def test_entries_at_odd_addresses_are_refused() -> None:
    with pytest.raises(
        TypeError, match=r"float32 entries of X begin at address 0x100002, no multiple of their 4"
    ):
        CupyInterchange().adopt(InterfaceOnly((1 << 20) + 2))


@pytest.mark.usefixtures("cupy")
def test_what_cupy_cannot_take_is_named_with_the_reason() -> None:
    message = r"Tensor of dtype torch\.bfloat16 on a GPU.*not support bfloat16.*X\.float\(\).*X\.to_dense\(\)"
    with pytest.raises(TypeError, match=message):
        CupyInterchange().adopt(Tensor(dtype="torch.bfloat16"))


@pytest.mark.usefixtures("cupy")
def test_tensors_get_tensors_back_on_their_device(monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []

    def from_dlpack(array: PlayedNdarray) -> str:
        handed.append((array, Entered.current[-1]))
        return "tensor"

    array = PlayedNdarray(1)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(Tensor=Tensor, from_dlpack=from_dlpack))
    assert CupyInterchange().hand_over(array, Tensor(1)) == "tensor"
    assert handed == [(array, 1)]
    assert CupyInterchange().hand_over(array, InterfaceOnly(1 << 20)) is array


@pytest.mark.usefixtures("cupy")
def test_torch_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    array = PlayedNdarray()
    assert CupyInterchange().hand_over(array, array) is array
    assert "torch" not in sys.modules


def test_a_copy_that_cupy_cannot_compile_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class CompileException(Exception):  # noqa: N818
        pass

    class Copy:
        def __setitem__(self, *_: object) -> None:
            raise CompileException("cannot open source file cuda_fp16.h")

    @contextmanager
    def entered() -> Any:
        yield

    device = object.__new__(CudaDevice)
    device._device = entered()
    device._cupy = SimpleNamespace(
        cuda=SimpleNamespace(compiler=SimpleNamespace(CompileException=CompileException))
    )
    device.memory = SimpleNamespace(malloc=None)  # type: ignore[assignment]
    monkeypatch.setattr(device, "_array", lambda *_: Copy())
    strided = SimpleNamespace(flags=SimpleNamespace(c_contiguous=False), shape=(2, 2), dtype="float32")
    with pytest.raises(RuntimeError, match=r"CUDA headers are missing.*accel_logreg\[cuda13\].*C-contiguous"):
        device.contiguous(strided, "float32")
