"""Colours matched, kept, and brought from one space into another."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from profiles import rgb_profile

from nst_graph.colors import (
    COLOR_MATCHES,
    match_covariance,
    match_histogram,
    with_chrominance_of,
)
from nst_graph.images import convert_profile, is_readable, profile_name, read_picture
from nst_graph.jobs import make_job
from nst_graph.pictures import read_pictures
from nst_graph.plan import make_plan

#: Of RGB -> YIQ, NTSC 1953; rows Y, I, Q.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def picture(seed: int, shape: tuple[int, int], low: int, high: int) -> np.ndarray:
    """Random colours whose channels are correlated, within low..high."""
    generator = np.random.default_rng(seed)
    values = generator.random((*shape, 1)) * 0.7 + generator.random((*shape, 3)) * 0.3
    return (low + (high - low) * values * [1.0, 0.8, 0.6]).astype(np.uint8)


CONTENT, STYLE = picture(1, (40, 50), 20, 180), picture(2, (33, 70), 90, 250)


def test_histograms_are_the_contents() -> None:
    matched = match_histogram(STYLE, CONTENT)
    for channel in range(3):
        wanted = np.sort(CONTENT[..., channel].ravel())
        found = np.sort(matched[..., channel].ravel())
        quantiles = np.linspace(0.01, 0.99, 50)
        difference = np.quantile(found, quantiles) - np.quantile(wanted, quantiles)
        assert np.abs(difference).max() <= 2
        order = np.argsort(STYLE[..., channel].ravel(), kind="stable")
        assert (np.diff(matched[..., channel].ravel()[order].astype(int)) >= 0).all()


def test_mean_and_covariance_are_the_contents() -> None:
    matched, wanted = (
        value.reshape(-1, 3).astype(float) for value in (match_covariance(STYLE, CONTENT), CONTENT)
    )
    np.testing.assert_allclose(matched.mean(axis=0), wanted.mean(axis=0), atol=0.5)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(wanted.T), rtol=0.02, atol=1)


@pytest.mark.parametrize("way", COLOR_MATCHES)
def test_a_picture_matched_to_itself_stays(way: str) -> None:
    difference = COLOR_MATCHES[way](STYLE, STYLE).astype(int) - STYLE
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("way", COLOR_MATCHES)
def test_pictures_of_one_colour(way: str) -> None:
    grey = np.full((8, 9, 3), 77, np.uint8)
    assert COLOR_MATCHES[way](STYLE, grey).shape == STYLE.shape
    assert np.abs(COLOR_MATCHES[way](STYLE, grey).astype(int) - 77).max() <= 1
    assert COLOR_MATCHES[way](grey, CONTENT).shape == grey.shape


def test_luminance_of_the_result_chrominance_of_the_content() -> None:
    content, result = picture(1, (30, 30), 90, 160), picture(2, (30, 30), 80, 170)
    kept = with_chrominance_of(content, result).astype(float) @ YIQ.T
    np.testing.assert_allclose(kept[..., 0], (result @ YIQ.T)[..., 0], atol=0.51)
    np.testing.assert_allclose(kept[..., 1:], (content @ YIQ.T)[..., 1:], atol=1)
    white = np.full((2, 2, 3), 255, np.uint8)
    assert with_chrominance_of(white, np.zeros_like(white)).max() == 0


# --- profiles --------------------------------------------------------------------------------

ADOBE = rgb_profile()


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_conversion_follows_the_definition_of_adobe_rgb() -> None:
    """sRGB red is (219, 0, 0) in Adobe RGB; greys stay about grey; back again within rounding."""
    red = np.full((1, 1, 3), [255, 0, 0], np.uint8)
    np.testing.assert_allclose(convert_profile(red, None, ADOBE)[0, 0], [219, 0, 0], atol=2)
    there = convert_profile(STYLE, None, ADOBE)
    assert np.abs(there.astype(int) - STYLE).max() > 5
    assert np.abs(convert_profile(there, ADOBE, None).astype(int) - STYLE).max() <= 3
    assert profile_name(ADOBE).startswith("test RGB")


def test_editions_of_srgb_are_one_space() -> None:
    assert convert_profile(STYLE, srgb_profile(), None) is STYLE
    assert convert_profile(STYLE, ADOBE, ADOBE) is STYLE


def test_a_profile_that_cannot_be_read_changes_nothing() -> None:
    damaged = ADOBE[:140] + bytes(60)
    assert not is_readable(damaged)
    assert is_readable(ADOBE)
    assert convert_profile(STYLE, damaged, None) is STYLE
    assert profile_name(damaged) == "unreadable"


def saved(path: Path, pixels: np.ndarray, profile: bytes | None) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", icc_profile=profile)
    path.write_bytes(buffer.getvalue())
    return str(path)


@pytest.mark.parametrize("profile", [ADOBE, None], ids=["adobe", "untagged"])
def test_styles_come_in_the_contents_space(tmp_path: Path, profile: bytes | None) -> None:
    job = {
        "recipe": "coursera",
        "content": saved(tmp_path / "content.png", CONTENT, profile),
        "style": [saved(tmp_path / "a.png", STYLE, None), saved(tmp_path / "b.png", STYLE, ADOBE)],
        "output": "unused",
        "weights": {"source": "random"},
    }
    pictures = read_pictures(make_plan(make_job(job)))
    np.testing.assert_array_equal(pictures.content.pixels, CONTENT)
    untagged, adobe = pictures.styles
    here, there = (untagged, adobe) if profile is None else (adobe, untagged)
    np.testing.assert_array_equal(here.pixels, STYLE)
    source, destination = (ADOBE, None) if profile is None else (None, ADOBE)
    np.testing.assert_array_equal(there.pixels, convert_profile(STYLE, source, destination))
    assert "converted from" in there.notes[-1]


def test_a_damaged_profile_of_the_content_is_left_out(tmp_path: Path) -> None:
    name = saved(tmp_path / "content.png", CONTENT, b"not a profile" * 20)
    assert read_picture(name).icc_profile is None or not is_readable(b"not a profile" * 20)
    damaged = saved(tmp_path / "damaged.png", CONTENT, ADOBE[:140] + bytes(60))
    job = {"recipe": "coursera", "content": damaged, "style": name, "output": "unused"}
    pictures = read_pictures(make_plan(make_job({**job, "weights": {"source": "random"}})))
    assert pictures.content.icc_profile is None
    assert "ICC profile dropped" in pictures.content.notes[-1]
