"""Pictures in and out, on real files written by Pillow (or byte by byte where Pillow cannot)."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from PIL import __version__ as pillow_version

from nst_graph.errors import ConfigError, NstGraphError, OutputError, PictureError
from nst_graph.images import (
    DEFAULT_MAX_PIXELS,
    RESIZE_METHODS,
    WRITE_FORMATS,
    probe_picture,
    read_metadata,
    read_picture,
    resize,
    target_shape,
    write_format,
    write_picture,
)

RNG = np.random.default_rng(11)
HEIGHT, WIDTH = 24, 36
RGB = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = RGB[..., 0].copy()
ALPHA = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Rounded a*colour + (1-a)*white, in float64."""
    opacity = alpha[..., None] / 255.0
    return np.floor(rgb * opacity + 255.0 * (1.0 - opacity) + 0.5).astype(np.uint8)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bytes(values: np.ndarray, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG of 8 or 16 bits with 1 to 4 channels; chunks may be added around the pixels."""
    height, width, channels = values.shape
    depth = values.dtype.itemsize * 8
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    chunks = png_chunk(b"IHDR", header) + before + png_chunk(b"IDAT", zlib.compress(rows)) + after
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def refused(path: object, **options: int) -> str:
    """The message with which both reading and probing refuse a file."""
    with pytest.raises(PictureError) as caught:
        read_picture(path, **options)  # type: ignore[arg-type]
    assert caught.value.what
    assert caught.value.remedy
    assert str(path) in caught.value.where
    return str(caught.value)


# --- plain pictures --------------------------------------------------------------------------


def test_rgb_png_is_read_unchanged(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.notes == ()
    assert picture.path == str(path)
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_pixels_are_read_only(tmp_path: Path) -> None:
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(RGB)))
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp", "tif", "bmp", "ppm"])
def test_every_format_equals_pillows_decoding(tmp_path: Path, extension: str) -> None:
    path = saved(tmp_path / f"a.{extension}", Image.fromarray(RGB))
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_picture(path).pixels, np.asarray(image.convert("RGB")))


def test_published_content_picture_equals_pillows_decoding(reference: Path) -> None:
    path = reference / "coursera" / "louvre_small.jpg"
    picture = read_picture(path)
    assert picture.pixels.shape == (300, 400, 3)
    assert picture.notes == ()
    with Image.open(path) as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))


def test_extension_does_not_matter(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(RGB), format="PNG")
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)


# --- colour models and depths ----------------------------------------------------------------


def test_grey(tmp_path: Path) -> None:
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(GREY)))
    np.testing.assert_array_equal(picture.pixels, np.stack([GREY] * 3, axis=-1))
    assert picture.notes == ("grey repeated in R, G and B",)


def test_one_bit(tmp_path: Path) -> None:
    bits = GREY > 127
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(bits)))
    np.testing.assert_array_equal(picture.pixels, np.stack([bits * np.uint8(255)] * 3, axis=-1))
    assert picture.notes == ("1-bit expanded",)


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(16)
    picture = read_picture(saved(tmp_path / "a.png", image))
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.notes == ("palette expanded",)


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_grey_16_bit_keeps_the_high_byte(tmp_path: Path, extension: str) -> None:
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    picture = read_picture(saved(tmp_path / f"a.{extension}", Image.fromarray(values)))
    np.testing.assert_array_equal(picture.pixels[..., 1], values >> 8)
    assert "16-bit reduced to 8" in picture.notes


def test_pgm_16_bit_keeps_the_high_byte(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH)).astype(">u2")
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + values.tobytes())
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels[..., 0], values >> 8)
    assert "16-bit reduced to 8" in picture.notes


def test_rgb_16_bit_keeps_the_high_byte_as_grey_does(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(values))
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, values >> 8)
    assert picture.notes == ("16-bit reduced to 8",)


def test_rgba_16_bit(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(values))
    high = (values >> 8).astype(np.uint8)
    np.testing.assert_array_equal(read_picture(path).pixels, on_white(high[..., :3], high[..., 3]))


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk_is_not_taken_for_rgba(tmp_path: Path, extension: str) -> None:
    """Pillow writes CMYK JPEGs as Adobe does, inverted; flat colours survive JPEG."""
    flat = np.zeros((16, 16, 4), np.uint8)
    flat[...] = (255, 0, 255, 0)  # cyan and yellow ink: green
    image = Image.frombytes("CMYK", (16, 16), flat.tobytes())
    picture = read_picture(saved(tmp_path / f"a.{extension}", image))
    np.testing.assert_allclose(picture.pixels, np.broadcast_to([0, 255, 0], (16, 16, 3)), atol=3)
    assert picture.notes == ("CMYK converted",)


def test_cmyk_profile_is_not_handed_on(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cmyk = srgb[:16] + b"CMYK" + srgb[20:]
    image = Image.fromarray(RGB).convert("CMYK")
    picture = read_picture(saved(tmp_path / "a.jpg", image, icc_profile=cmyk))
    assert picture.icc_profile is None
    assert "ICC profile dropped (not for RGB)" in picture.notes


def test_rgb_profile_is_handed_on(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read_picture(saved(tmp_path / "a.jpg", Image.fromarray(RGB), icc_profile=srgb))
    assert picture.icc_profile == srgb
    assert picture.notes == ()


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_other_colour_models_are_converted(tmp_path: Path, mode: str) -> None:
    flat = np.full((16, 16, 3), (200, 80, 40), np.uint8)
    path = saved(tmp_path / "a.tif", Image.fromarray(flat).convert(mode))
    try:
        Image.open(io.BytesIO(path.read_bytes())).load()
    except OSError:
        pytest.skip(f"Pillow {pillow_version} cannot read its own {mode} TIFF")
    picture = read_picture(path)
    np.testing.assert_allclose(picture.pixels, flat, atol=4)
    assert picture.notes[0] == f"{mode} converted"


def test_float_in_unit_range_is_scaled(tmp_path: Path) -> None:
    values = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    picture = read_picture(saved(tmp_path / "a.tif", Image.fromarray(values)))
    np.testing.assert_array_equal(picture.pixels[..., 2], np.rint(values * np.float32(255)))
    assert "floats 0..1 scaled to 0..255" in picture.notes


@pytest.mark.parametrize("odd", [1.5, -0.1, np.nan, np.inf])
def test_float_of_unknown_range_is_refused(tmp_path: Path, odd: float) -> None:
    values = np.full((4, 4), 0.5, np.float32)
    values[2, 1] = odd
    assert "outside 0..1" in refused(saved(tmp_path / "a.tif", Image.fromarray(values)))


def test_32_bit_integers_are_refused(tmp_path: Path) -> None:
    values = np.arange(16, dtype=np.int32).reshape(4, 4) * 100_000
    assert "32-bit" in refused(saved(tmp_path / "a.tif", Image.fromarray(values)))


# --- transparency ----------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["png", "webp", "tif"])
def test_rgba_is_composited_on_white(tmp_path: Path, extension: str) -> None:
    rgba = np.dstack([RGB, ALPHA])
    options = {"lossless": True, "exact": True} if extension == "webp" else {}
    picture = read_picture(saved(tmp_path / f"a.{extension}", Image.fromarray(rgba), **options))
    np.testing.assert_array_equal(picture.pixels, on_white(RGB, ALPHA))
    assert picture.notes == ("alpha composited on white",)


def test_opaque_alpha_changes_nothing(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.full_like(ALPHA, 255)])
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.notes == ()


def test_grey_with_alpha(tmp_path: Path) -> None:
    image = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(ALPHA)))
    picture = read_picture(saved(tmp_path / "a.png", image))
    np.testing.assert_array_equal(picture.pixels, on_white(np.stack([GREY] * 3, -1), ALPHA))
    assert "alpha composited on white" in picture.notes


def test_palette_with_graded_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(8)
    levels = bytes([0, 40, 80, 120, 160, 200, 240, 255])
    picture = read_picture(saved(tmp_path / "a.png", image, transparency=levels))
    alpha = np.frombuffer(levels, np.uint8)[np.asarray(image)]
    np.testing.assert_array_equal(picture.pixels, on_white(np.asarray(image.convert("RGB")), alpha))
    assert picture.notes == ("palette expanded", "alpha composited on white")


def test_gif_with_a_transparent_entry(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(8)
    picture = read_picture(saved(tmp_path / "a.gif", image, transparency=3))
    clear = np.asarray(image) == 3
    assert clear.any()
    assert (picture.pixels[clear] == 255).all()
    np.testing.assert_array_equal(picture.pixels[~clear], np.asarray(image.convert("RGB"))[~clear])


def test_rgb_with_a_transparent_colour(tmp_path: Path) -> None:
    rgb = RGB.copy()
    rgb[3:6] = (10, 20, 30)
    picture = read_picture(
        saved(tmp_path / "a.png", Image.fromarray(rgb), transparency=(10, 20, 30))
    )
    assert (picture.pixels[3:6] == 255).all()
    np.testing.assert_array_equal(picture.pixels[6:], rgb[6:])


def test_16_bit_grey_with_a_transparent_level(tmp_path: Path) -> None:
    values = RNG.integers(0, 30_000, (HEIGHT, WIDTH, 1)).astype(np.uint16)
    values[:4] = 40_000
    values[4] = 40_001  # same high byte, not transparent
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(values, before=png_chunk(b"tRNS", struct.pack(">H", 40_000))))
    picture = read_picture(path)
    assert (picture.pixels[:4] == 255).all()
    assert (picture.pixels[4] == 40_001 >> 8).all()


def test_16_bit_rgb_with_a_transparent_colour_says_that_it_is_ignored(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(
        png_bytes(values, before=png_chunk(b"tRNS", values[0, 0].astype(">u2").tobytes()))
    )
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, values >> 8)
    assert "16-bit transparent colour ignored" in picture.notes


# --- orientation -----------------------------------------------------------------------------


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("extension", "mode"),
    [
        *(("png", mode) for mode in ("RGB", "RGBA", "L", "LA", "P")),
        *(("tif", mode) for mode in ("RGB", "RGBA", "L", "LA", "P")),
        *(("jpg", mode) for mode in ("RGB", "L", "CMYK")),
        *(("webp", mode) for mode in ("RGB", "RGBA")),
    ],
)
def test_orientation(tmp_path: Path, extension: str, mode: str, orientation: int) -> None:
    options = {"lossless": True} if extension == "webp" else {}
    image = Image.fromarray(RGB).convert(mode)
    plain = read_picture(saved(tmp_path / f"plain.{extension}", image, **options)).pixels
    upright = Image.fromarray(plain)
    upright.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(upright))

    path = saved(tmp_path / f"a.{extension}", image, exif=oriented(orientation), **options)
    picture, header = read_picture(path), probe_picture(path)

    np.testing.assert_array_equal(picture.pixels, expected)
    assert (header.height, header.width) == picture.pixels.shape[:2]
    assert (f"EXIF orientation {orientation} applied" in picture.notes) == (orientation > 1)


def test_orientation_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    exif = oriented(6).tobytes().removeprefix(b"Exif\0\0")
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(RGB, after=png_chunk(b"eXIf", exif)))
    np.testing.assert_array_equal(read_picture(path).pixels, np.rot90(RGB, -1))
    header = probe_picture(path)
    assert (header.height, header.width) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("orientation", [0, 9, 4000])
def test_meaningless_orientation_is_ignored(tmp_path: Path, orientation: int) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), exif=oriented(orientation))
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)
    assert read_picture(path).notes == ()


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(RGB), exif=b"Exif\0\0not a TIFF header")
    assert read_picture(path).pixels.shape == RGB.shape


# --- frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["gif", "png", "webp", "tif"])
def test_first_of_several_frames(tmp_path: Path, extension: str) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    frames = [Image.new("RGB", (20, 12), colour) for colour in colours]
    options = {"lossless": True} if extension == "webp" else {}
    path = saved(
        tmp_path / f"a.{extension}", frames[0], save_all=True, append_images=frames[1:], **options
    )
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, np.full((12, 20, 3), colours[0], np.uint8))
    assert picture.notes[0] == "first of 3 frames"


def test_first_picture_of_a_stereo_or_phone_jpeg(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 12), colour) for colour in [(250, 0, 0), (0, 250, 0)]]
    path = saved(
        tmp_path / "a.jpg", frames[0], format="MPO", save_all=True, append_images=frames[1:]
    )
    picture = read_picture(path)
    assert picture.notes == ("first of 2 frames",)
    np.testing.assert_allclose(picture.pixels[6, 10], (250, 0, 0), atol=3)


# --- refusals --------------------------------------------------------------------------------


def test_pixel_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    """A header that promises 10 gigapixels is refused at once, though no pixels follow."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = refused(path)
        with pytest.raises(PictureError, match="100000 x 100000"):
            probe_picture(path)
    assert "100000 x 100000" in text
    assert f"{DEFAULT_MAX_PIXELS:,}" in text


def test_pixel_limit_is_inclusive(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    assert read_picture(path, max_pixels=HEIGHT * WIDTH).pixels.shape == RGB.shape
    assert "36 x 24" in refused(path, max_pixels=HEIGHT * WIDTH - 1)


def test_pillows_own_limit_gives_way_to_ours_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(PictureError):
        read_picture(tmp_path / "missing.png")
    assert Image.MAX_IMAGE_PIXELS == 10


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    saved(tmp_path / "louvre_small.jpg", Image.fromarray(RGB))
    text = refused(tmp_path / "louvre_smal.jpg")
    assert "no such file" in text
    assert "louvre_small.jpg" in text


@pytest.mark.parametrize(
    "name",
    ["imageio:chelsea.png", "http://127.0.0.1:9/a.png", "https://example.org/a.jpg", "<video0>"],
)
def test_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    text = refused(name)
    assert "no such file" in text
    if ":" in name:
        assert "never downloaded" in text


def test_a_file_named_like_an_address_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("imageio:chelsea.png"), Image.fromarray(RGB))
    np.testing.assert_array_equal(read_picture("imageio:chelsea.png").pixels, RGB)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"<html>", "HTML"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"%PDF-1.7\n\xe2\xe3", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"PK\x03\x04\x14\x00", "zip"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"just some words", "text"),
        (b"\n", "text"),
        (b"\x00\x01\x02\xff" * 100, "JPEG, PNG"),
        (b"\xff\xd8\xff\xe0", "damaged JPEG"),
    ],
)
def test_what_is_not_a_picture_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert expected in refused(path)
    with pytest.raises(PictureError):
        probe_picture(path)


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp", "tif", "bmp", "ppm"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_truncated_file(tmp_path: Path, extension: str, kept: float) -> None:
    path = saved(tmp_path / f"a.{extension}", Image.fromarray(RGB))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    refused(path)


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp", "tif"])
def test_no_damage_lets_another_exception_out(tmp_path: Path, extension: str) -> None:
    """300 files with random bytes changed: each is read or refused, whatever the decoder raised."""
    path = saved(tmp_path / f"a.{extension}", Image.fromarray(RGB), exif=oriented(6))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(5)
    refusals = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd TIFF tags
        for _ in range(300):
            damaged = whole.copy()
            where = rng.integers(0, min(len(whole), 400), 4)
            damaged[where] = rng.integers(0, 256, 4)
            path.write_bytes(damaged.tobytes())
            try:
                assert read_picture(path, max_pixels=10**6).pixels.shape[2] == 3
            except PictureError:
                refusals += 1
    assert refusals > 0


def test_directory_and_device(tmp_path: Path) -> None:
    assert "directory" in refused(tmp_path)
    assert "not a regular file" in refused("/dev/null")


def test_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refused(tmp_path / "pipe.png")


def test_impossible_names(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for name in (f"{tmp_path}/file/a.png", f"{tmp_path}/{'x' * 300}.png", f"{tmp_path}/a\0b.png"):
        refused(name)


def test_error_survives_pickling_and_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(NstGraphError) as caught:
        read_picture(tmp_path / "missing.png")
    assert str(tmp_path / "missing.png") in str(caught.value)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    broken = tmp_path / "b.png"
    broken.write_bytes(path.read_bytes()[:60])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        read_picture(path)
        probe_picture(path)
        read_metadata(path)
        write_picture(path, RGB)
        for read in (read_picture, read_metadata):
            with pytest.raises(PictureError):
                read(broken)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


# --- probing ---------------------------------------------------------------------------------


def test_probe_says_size_format_and_mode(tmp_path: Path) -> None:
    header = probe_picture(saved(tmp_path / "a.jpg", Image.fromarray(GREY)))
    assert (header.height, header.width, header.format, header.mode) == (HEIGHT, WIDTH, "JPEG", "L")


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
def test_probe_does_not_decode(tmp_path: Path, extension: str) -> None:
    """Four megapixels: decoding takes tens of milliseconds, the header well under five."""
    image = Image.fromarray(np.tile(RGB, (84, 56, 1)))
    path = saved(tmp_path / f"a.{extension}", image)
    probe_picture(path)  # imports
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        probe_picture(path)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.005


def test_importing_costs_neither_pillow_nor_imageio() -> None:
    code = (
        "import sys, nst_graph.images, nst_graph.montage\n"
        "print([m for m in ('PIL', 'imageio', 'tensorflow', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((300, 400), 200, (150, 200)),
        ((400, 300), 200, (200, 150)),
        ((300, 400), 800, (600, 800)),
        ((607, 910), 512, (342, 512)),
        ((1, 1000), 10, (1, 10)),
        ((300, 400), (381, 400), (381, 400)),
    ],
)
def test_target_shape(
    shape: tuple[int, int], size: int | tuple[int, int], expected: tuple[int, int]
) -> None:
    assert target_shape(*shape, size) == expected


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), size=st.integers(1, 5000))
def test_longest_side_is_met_and_aspect_kept(height: int, width: int, size: int) -> None:
    rows, columns = target_shape(height, width, size)
    assert max(rows, columns) == size
    assert min(rows, columns) >= 1
    exact = min(height, width) * size / max(height, width)
    assert abs(min(rows, columns) - max(exact, 1)) <= 0.5 + 1e-9
    assert target_shape(width, height, size) == (columns, rows)
    assert target_shape(rows, columns, size) == (rows, columns)


@pytest.mark.parametrize(
    "size", [0, -1, True, 1.5, "400", None, (1,), (0, 5), (5, -5), (1, 2, 3), (True, 3), ()]
)
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(ConfigError, match="longest side"):
        target_shape(10, 10, size)  # type: ignore[arg-type]


def test_size_beyond_the_pixel_limit() -> None:
    with pytest.raises(ConfigError, match="100,000,000"):
        target_shape(10, 10, 10_001)
    assert target_shape(10, 10, 10_000) == (10_000, 10_000)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.one_of(st.integers(1, 60), st.tuples(st.integers(1, 60), st.integers(1, 60))),
    method=st.sampled_from(sorted(RESIZE_METHODS)),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_resizing_keeps_flat_colours(
    shape: tuple[int, int],
    size: int | tuple[int, int],
    method: str,
    colour: tuple[int, int, int],
) -> None:
    resized = resize(np.full((*shape, 3), colour, np.uint8), size, method)
    assert resized.dtype == np.uint8
    assert resized.shape == (*target_shape(*shape, size), 3)
    assert (resized == colour).all()


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_resizing_equals_pillow(method: str) -> None:
    filter_ = getattr(Image.Resampling, RESIZE_METHODS[method])
    expected = np.asarray(Image.fromarray(RGB).resize((18, 12), filter_))
    np.testing.assert_array_equal(resize(RGB, 18, method), expected)


def test_area_is_the_mean_of_blocks() -> None:
    """Within one level: Pillow rounds after each of its two passes."""
    blocks = RGB.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(RGB, (HEIGHT // 4, WIDTH // 4), "area"), blocks, atol=1.0)


def test_resizing_to_the_same_size_copies_nothing() -> None:
    assert resize(RGB, WIDTH) is RGB
    assert resize(RGB, (HEIGHT, WIDTH), "nearest") is RGB


def test_resizing_accepts_views_and_read_only_pixels() -> None:
    view = RGB[::-1, ::2]
    view.flags.writeable = False
    np.testing.assert_array_equal(resize(view, 9), resize(np.ascontiguousarray(view), 9))


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'lanczos'"):
        resize(RGB, 10, "lancsoz")


@pytest.mark.parametrize(
    "wrong", [GREY, RGB.astype(np.float32), np.dstack([RGB, ALPHA]), RGB[:0], [1, 2]]
)
def test_arrays_that_are_no_picture(tmp_path: Path, wrong: np.ndarray) -> None:
    with pytest.raises(PictureError, match="expected uint8"):
        resize(wrong, 10)
    with pytest.raises(PictureError, match="expected uint8"):
        write_picture(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


# --- writing ---------------------------------------------------------------------------------

METADATA = {
    "Software": "nst_graph 0.1",
    "weights": "random: seeded, not pretrained",
    "title": "Nymphéas, 睡蓮 \U0001f33f",
    "job": json.dumps({"steps": 200, "path": "C:\\x"}, indent=1),
    "clé": "",
}


@pytest.mark.parametrize("extension", WRITE_FORMATS)
def test_round_trip(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a{extension}"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_picture(path, RGB, metadata=METADATA, icc_profile=srgb)
    picture = read_picture(path)
    assert picture.notes == ()
    assert picture.icc_profile == srgb
    assert read_metadata(path) == METADATA
    if write_format(path).lossless:
        np.testing.assert_array_equal(picture.pixels, RGB)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with Image.open(path) as image:
        assert image.format == write_format(path).name


@pytest.mark.parametrize("extension", WRITE_FORMATS)
def test_without_metadata(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a{extension.upper()}"
    write_picture(str(path), RGB)
    assert read_metadata(path) == {}
    assert read_picture(path).icc_profile is None


def test_jpeg_keeps_chroma_at_full_resolution(tmp_path: Path) -> None:
    """Red and blue columns of one pixel: halved chroma would turn both to purple."""
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = (220, 20, 20)
    stripes[:, 1::2] = (20, 20, 220)
    path = tmp_path / "a.jpg"
    write_picture(path, stripes)
    error = np.abs(read_picture(path).pixels.astype(int) - stripes)
    assert error.mean() < 8
    Image.fromarray(stripes).save(tmp_path / "default.jpg")
    default = np.abs(read_picture(tmp_path / "default.jpg").pixels.astype(int) - stripes)
    assert default.mean() > 50


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    for extension in WRITE_FORMATS:
        write_picture(tmp_path / f"a{extension}", RGB, metadata=METADATA)
        write_picture(tmp_path / f"b{extension}", RGB, metadata=METADATA)
        first, second = (tmp_path / f"{name}{extension}" for name in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_views_are_written_as_seen(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", RGB[::-1, ::-2])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").pixels, RGB[::-1, ::-2])


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (4, 4), (2, 500)])
def test_small_pictures(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for extension, kind in WRITE_FORMATS.items():
        write_picture(tmp_path / f"a{extension}", pixels)
        read = read_picture(tmp_path / f"a{extension}").pixels
        assert read.shape == pixels.shape
        if kind.lossless:
            np.testing.assert_array_equal(read, pixels)


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_picture(tmp_path / "a.png", RGB)
    finally:
        os.umask(old)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["a.gif", "a.pngg", "a", ".png", "a.png.bak"])
def test_unknown_extension_lists_the_choices(tmp_path: Path, name: str) -> None:
    with pytest.raises(PictureError) as caught:
        write_picture(tmp_path / name, RGB)
    for extension in WRITE_FORMATS:
        assert extension in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", " lead", "trail ", "x" * 80, "line\nbreak", "睡", "nul\0"])
def test_metadata_keys_that_png_cannot_hold(tmp_path: Path, key: str) -> None:
    for extension in WRITE_FORMATS:
        with pytest.raises(PictureError, match="metadata key"):
            write_picture(tmp_path / f"a{extension}", RGB, metadata={key: "x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", WRITE_FORMATS)
def test_metadata_that_no_encoding_holds_is_kept_readable(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a{extension}"
    write_picture(path, RGB, metadata={"input": os.fsdecode(b"caf\xe9.png"), "odd": "a\0b"})
    found = read_metadata(path)
    assert found["input"] in {"caf\\udce9.png", "caf\udce9.png"}
    assert found["odd"] in {"a\\x00b", "a\0b"}


def test_limits_of_the_formats(tmp_path: Path) -> None:
    long = np.zeros((1, 70_000, 3), np.uint8)
    for extension in (".jpg", ".webp"):
        with pytest.raises(PictureError, match=r"write a \.png file"):
            write_picture(tmp_path / f"a{extension}", long)
    with pytest.raises(PictureError, match="cannot be written as JPEG"):
        write_picture(tmp_path / "a.jpg", RGB, metadata={"job": "x" * 70_000})
    assert list(tmp_path.iterdir()) == []
    write_picture(tmp_path / "a.png", long, metadata={"job": "x" * 70_000})
    assert len(read_metadata(tmp_path / "a.png")["job"]) == 70_000


def test_foreign_metadata_is_not_taken_for_ours(tmp_path: Path) -> None:
    exif = Image.Exif()
    for text in ("OLYMPUS DIGITAL CAMERA", "[1, 2]", "17"):
        exif[0x010E] = text
        assert read_metadata(saved(tmp_path / "a.jpg", Image.fromarray(RGB), exif=exif)) == {}
    assert read_metadata(saved(tmp_path / "a.bmp", Image.fromarray(RGB))) == {}


def test_metadata_of_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<html>")
    with pytest.raises(PictureError, match="HTML"):
        read_metadata(tmp_path / "a.png")
    with pytest.raises(PictureError, match="no such file"):
        read_metadata(tmp_path / "b.png")


def test_writing_into_nowhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    for path in (
        tmp_path / "missing" / "a.png",
        tmp_path / "file" / "a.png",
        tmp_path / "folder.png",
        tmp_path / f"{'x' * 300}.png",
        tmp_path / "a\0b.png",
    ):
        with pytest.raises(OutputError) as caught:
            write_picture(path, RGB)
        assert str(path) in caught.value.where
        assert caught.value.remedy
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]
    assert list((tmp_path / "folder.png").iterdir()) == []


def test_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 251}.png"
    write_picture(path, RGB)
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_write_that_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "a.png"
    write_picture(path, RGB)
    before = path.read_bytes()
    noise = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # as a full disk: write() fails
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_picture(path, noise)
        with pytest.raises(OutputError):
            write_picture(tmp_path / "b.png", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_readers_never_meet_half_a_file(tmp_path: Path) -> None:
    """An open handle keeps the old picture while the name already shows the new one."""
    path = tmp_path / "a.png"
    write_picture(path, RGB)
    with path.open("rb") as old:
        write_picture(path, RGB[::-1])
        with Image.open(io.BytesIO(old.read())) as image:
            np.testing.assert_array_equal(np.asarray(image), RGB)
    np.testing.assert_array_equal(read_picture(path).pixels, RGB[::-1])
