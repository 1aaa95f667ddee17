"""A folder of pictures becomes a matrix: values, order, conversions, and every kind of broken folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from accel_logreg.files.images import ImageFolderError, load_image_folder

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow: pip install 'accel_logreg[lab]'")


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def plain(colour: tuple[int, ...], size: int = 2) -> np.ndarray:
    return np.full((size, size, len(colour)), colour, dtype=np.uint8)


def test_rows_columns_channels_in_c_order(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    save(tmp_path / "a" / "1.png", pixels)
    folder = load_image_folder(tmp_path, size=2)
    assert folder.X.dtype == np.float64
    np.testing.assert_array_equal(folder.X, np.arange(12)[None] / 255)
    assert folder.resized == 0


def test_classes_and_paths_are_sorted(tmp_path: Path) -> None:
    for name in ("dog/2.png", "cat/1.png", "cat/sub/0.png", "dog/.hidden.png"):
        save(tmp_path / name, plain((1, 2, 3)))
    folder = load_image_folder(tmp_path, size=2, dtype=np.float32)
    assert folder.X.dtype == np.float32
    assert folder.classes == ("cat", "dog")
    assert folder.y is not None
    assert folder.y.tolist() == ["cat", "cat", "dog"]
    assert [str(path.relative_to(tmp_path)) for path in folder.paths] == [
        "cat/1.png",
        "cat/sub/0.png",
        "dog/2.png",
    ]


def test_flat_folder_has_no_classes(tmp_path: Path) -> None:
    save(tmp_path / "b.png", plain((255, 0, 0)))
    save(tmp_path / "a.png", plain((0, 0, 255)))
    folder = load_image_folder(tmp_path, size=2)
    assert folder.y is None
    assert folder.classes == ()
    assert [path.name for path in folder.paths] == ["a.png", "b.png"]
    assert folder.X[:, 0].tolist() == [0.0, 1.0]


def test_resized_pictures_are_counted(tmp_path: Path) -> None:
    save(tmp_path / "a.png", plain((51, 102, 204), size=7))
    save(tmp_path / "b.png", plain((51, 102, 204), size=4))
    folder = load_image_folder(tmp_path, size=4)
    assert folder.resized == 1
    np.testing.assert_allclose(folder.X, np.tile([0.2, 0.4, 0.8], (2, 16)), rtol=1e-15)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        pytest.param(np.full((2, 2), 51, np.uint8), (0.2, 0.2, 0.2), id="8-bit grey"),
        pytest.param(np.full((2, 2), 0.2 * 65535, np.uint16), (0.2, 0.2, 0.2), id="16-bit grey"),
        pytest.param(np.full((2, 2), True), (1.0, 1.0, 1.0), id="1 bit"),
        pytest.param(plain((0, 0, 255, 0)), (1.0, 1.0, 1.0), id="transparent is white"),
        pytest.param(plain((0, 0, 255, 255)), (0.0, 0.0, 1.0), id="opaque alpha"),
        pytest.param(plain((51, 255)), (0.2, 0.2, 0.2), id="grey with alpha"),
    ],
)
def test_modes_become_rgb(tmp_path: Path, pixels: np.ndarray, expected: tuple[float, ...]) -> None:
    save(tmp_path / "a.png", pixels)
    X = load_image_folder(tmp_path, size=2).X
    np.testing.assert_allclose(X.reshape(4, 3), np.tile(expected, (4, 1)), rtol=1e-15)


def test_palette_with_transparency_and_16_bit_pgm(tmp_path: Path) -> None:
    palette = Image.fromarray(plain((255, 0, 0))).quantize(2)
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "b.png", transparency=int(np.asarray(palette)[0, 0]))
    save(tmp_path / "c.pgm", np.full((2, 2), 65535, np.uint16))
    X = load_image_folder(tmp_path, size=2).X
    assert X[:, :3].tolist() == [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_exif_orientation_turns_the_picture_upright(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    save(tmp_path / "a.png", pixels, exif=exif)
    X = load_image_folder(tmp_path, size=2).X.reshape(2, 2, 3)
    assert X[..., 0].tolist() == [[0.0, 0.0], [1.0, 0.0]]


def broken_folder(tmp_path: Path) -> tuple[Path, Path]:
    good = save(
        tmp_path / "cat" / "good.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    )
    save(tmp_path / "dog" / "good.png", plain((1, 2, 3)))
    cut = tmp_path / "cat" / "cut.png"
    cut.write_bytes(good.read_bytes()[:2000])
    (tmp_path / "dog" / "notes.txt").write_text("not a picture")
    return cut, tmp_path / "dog" / "notes.txt"


def test_broken_files_are_all_named(tmp_path: Path) -> None:
    cut, notes = broken_folder(tmp_path)
    with pytest.raises(ImageFolderError, match=r"2 of 4 files .* pictures") as caught:
        load_image_folder(tmp_path)
    assert str(cut) in str(caught.value)
    assert str(notes) in str(caught.value)
    assert "--skip-broken" in str(caught.value)


def test_broken_files_are_skipped_on_request_and_reported(tmp_path: Path) -> None:
    cut, notes = broken_folder(tmp_path)
    folder = load_image_folder(tmp_path, size=2, skip_broken=True)
    assert [path.name for path in folder.paths] == ["good.png", "good.png"]
    assert folder.X.shape == (2, 12)
    np.testing.assert_allclose(folder.X[1], np.tile([1, 2, 3], 4) / 255, rtol=1e-15)
    assert [text.split(": ")[0] for text in folder.skipped] == [str(cut), str(notes)]


def test_a_class_that_is_broken_throughout_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png", plain((1, 2, 3)))
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "b.png").write_bytes(b"")
    with pytest.raises(ImageFolderError, match="class 'dog' has no picture"):
        load_image_folder(tmp_path, skip_broken=True)


def test_float_pictures_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", np.zeros((2, 2), np.float32))
    with pytest.raises(ImageFolderError, match="no agreed range"):
        load_image_folder(tmp_path)


def test_grey_values_beyond_16_bits_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", np.full((2, 2), 70_000, np.int32))
    with pytest.raises(ImageFolderError, match="beyond 16 bits"):
        load_image_folder(tmp_path)


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(ImageFolderError, match="is empty"):
        load_image_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ImageFolderError, match="holds no files"):
        load_image_folder(tmp_path)
    save(tmp_path / "loose.png", plain((1, 2, 3)))
    with pytest.raises(ImageFolderError, match="both class folders"):
        load_image_folder(tmp_path)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size=0"):
        load_image_folder(tmp_path, size=0)
    with pytest.raises(ValueError, match="float16"):
        load_image_folder(tmp_path, dtype=np.float16)


def test_missing_pillow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", plain((1, 2, 3)))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"accel_logreg\[lab\]"):
        load_image_folder(tmp_path)
