"""A folder of pictures → a matrix of numbers in [0, 1], one row a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

CHANNELS = 3


class ImageFolderError(ValueError):
    """The folder holds no usable pictures, or broken ones; the message names them and the remedy."""


@dataclass(frozen=True)
class ImageFolder:
    """What ``load_image_folder`` found.

    Row i of X is picture i flattened in C order (row, column, channel RGB), values in [0, 1].
    """

    X: NDArray[np.float32 | np.float64]  # (m, size · size · 3)
    y: NDArray[np.str_] | None  # (m,), the name of each picture's sub-folder; None where there are none
    classes: tuple[str, ...]  # sorted; empty where there are no sub-folders
    paths: tuple[Path, ...]  # each picture's file, sorted by class and then by path
    resized: int  # how many pictures did not have size × size pixels already
    skipped: tuple[str, ...]  # "path: reason" of each broken file; empty unless ``skip_broken``


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    size: int = 64,
    skip_broken: bool = False,
    dtype: type[np.float32] | type[np.float64] = np.float64,
) -> ImageFolder:
    """Read a folder of pictures with one sub-folder per class, or a flat folder without classes.

    Every file counts as a picture, except those whose name begins with a dot. A picture is turned
    upright by its EXIF orientation, brought to 8-bit RGB (grey becomes three equal channels, 16-bit grey
    is divided by 257, transparency is laid on white) and resized to size × size pixels by
    an antialiased bilinear filter, which does not keep the aspect ratio. Its values are divided by 255.

    Parameters
    ----------
    path : path of a folder
    size : int
        Width and height in pixels.
    skip_broken : bool
        Leave out files that cannot be read and list them in ``skipped``, instead of raising.
    dtype : float32 or float64

    Raises
    ------
    ImageFolderError
        No pictures, an empty class, pictures beside class folders, or broken files.
    NotADirectoryError
        ``path`` is not a folder.
    ImportError
        Pillow is missing.
    ValueError
        size below 1, or another dtype.
    """
    if size < 1:
        raise ValueError(f"size={size!r} must be at least 1 pixel")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r} is not supported; allowed: float32, float64")
    files, labels = _list_files(Path(path))
    _pillow()  # a missing Pillow is not a broken file
    X = np.empty((len(files), size * size * CHANNELS), dtype=dtype)
    kept: list[int] = []
    broken: list[str] = []
    resized = 0
    for i, file in enumerate(files):
        try:
            pixels, was_resized = _pixels(file, size)
        except Exception as error:  # a decoder fed with damaged bytes raises nearly anything
            broken.append(f"{file}: {error}")
            continue
        np.divide(pixels, 255, out=X[len(kept)], dtype=dtype)
        kept.append(i)
        resized += was_resized
    if broken and not skip_broken:
        raise ImageFolderError(
            f"{len(broken)} of {len(files)} files cannot be read as pictures:\n{_some(broken)}\n"
            "Repair or remove them, or leave them out with skip_broken=True (--skip-broken)."
        )
    y = None if labels is None else np.array([labels[i] for i in kept], dtype=np.str_)
    classes = () if labels is None else tuple(sorted(set(labels)))
    lost = set(classes).difference(() if y is None else y.tolist())
    if lost or not kept:
        where = f"class {sorted(lost)[0]!r}" if lost else f"{path}"
        raise ImageFolderError(f"{where} has no picture that can be read:\n{_some(broken)}")
    return ImageFolder(X[: len(kept)], y, classes, tuple(files[i] for i in kept), resized, tuple(broken))


def _list_files(folder: Path) -> tuple[list[Path], list[str] | None]:
    """The files in a fixed order, and each one's class (None for a flat folder)."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    loose = [entry for entry in entries if not entry.is_dir()]
    if folders and loose:
        raise ImageFolderError(
            f"{folder} holds both class folders ({folders[0].name!r}, …) and files ({loose[0].name!r}, …); "
            "move every file into the folder of its class"
        )
    if not folders:
        if not loose:
            raise ImageFolderError(f"{folder} is empty; it must hold pictures, or one sub-folder per class")
        return loose, None
    files: list[Path] = []
    labels: list[str] = []
    for class_folder in folders:
        found = [file for file in sorted(class_folder.rglob("*")) if _is_candidate(file, class_folder)]
        if not found:
            raise ImageFolderError(f"class folder {class_folder} holds no files; fill or remove it")
        files += found
        labels += [class_folder.name] * len(found)
    return files, labels


def _is_candidate(file: Path, class_folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(class_folder).parts)
    return not hidden and file.is_file()


def _pixels(file: Path, size: int) -> tuple[NDArray[np.uint8], bool]:
    """The picture as (size·size·3,) bytes, and whether it had to be resized."""
    image_module, ops = _pillow()
    with image_module.open(file) as opened:
        image = _to_rgb(ops.exif_transpose(opened))
    was_resized = image.size != (size, size)
    if was_resized:
        image = image.resize((size, size), image_module.Resampling.BILINEAR)
    return np.asarray(image).reshape(-1), was_resized


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion to RGB would clip it at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("grey values beyond 16 bits; save it as an 8-bit or 16-bit picture")
        image = _pillow()[0].fromarray(np.rint(values / 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range; save it as an 8-bit or 16-bit picture")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = _pillow()[0].new("RGBA", image.size, "white")
        image = _pillow()[0].alpha_composite(white, image)
    return image.convert("RGB")


def _pillow() -> tuple[ModuleType, ModuleType]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            'reading pictures needs Pillow, which is missing: pip install "accel_logreg[lab]"', name="PIL"
        ) from error
    return Image, ImageOps


def _some(lines: list[str], limit: int = 10) -> str:
    shown = [f"  {line}" for line in lines[:limit]]
    return "\n".join(shown + ([f"  … and {len(lines) - limit} more"] if len(lines) > limit else []))
