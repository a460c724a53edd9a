"""Pictures side by side."""

from __future__ import annotations

import numpy as np
import pytest

from nst_graph.errors import ConfigError, PictureError
from nst_graph.images import resize
from nst_graph.montage import side_by_side

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def flat(height: int, width: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def runs_of(row: np.ndarray) -> list[tuple[tuple[int, ...], int]]:
    """Colours along a row of pixels with the length of each run."""
    runs: list[tuple[tuple[int, ...], int]] = []
    for pixel in row:
        colour = tuple(int(value) for value in pixel)
        if runs and runs[-1][0] == colour:
            runs[-1] = (colour, runs[-1][1] + 1)
        else:
            runs.append((colour, 1))
    return runs


def test_layout_in_exact_pixels() -> None:
    panels = [("", flat(200, 300, RED)), ("", flat(400, 400, GREEN)), ("", flat(200, 100, BLUE))]
    image = side_by_side(panels, gap=10)
    white = (255, 255, 255)
    assert image.dtype == np.uint8
    assert image.shape == (200 + 2 * 10, 300 + 200 + 100 + 4 * 10, 3)
    assert runs_of(image[100]) == [
        (white, 10), (RED, 300), (white, 10), (GREEN, 200), (white, 10), (BLUE, 100), (white, 10),
    ]  # fmt: skip
    assert runs_of(image[:, 50]) == [(white, 10), (RED, 200), (white, 10)]


def test_pictures_of_that_height_are_copied_untouched() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (180, 240, 3), dtype=np.uint8)
    large = np.random.default_rng(1).integers(0, 256, (360, 300, 3), dtype=np.uint8)
    image = side_by_side([("a", noise), ("b", large)], gap=7)
    np.testing.assert_array_equal(image[7:187, 7:247], noise)
    np.testing.assert_array_equal(image[7:187, 254:404], resize(large, (180, 150), "lanczos"))


@pytest.mark.parametrize("height", [37, 200, 500])
def test_height_may_be_chosen(height: int) -> None:
    image = side_by_side([("", flat(100, 200, RED))], height=height, gap=5)
    assert image.shape == (height + 10, 2 * height + 10, 3)


def test_tiny_pictures_are_enlarged_to_a_readable_height() -> None:
    image = side_by_side([("tiny", flat(4, 8, RED)), ("other", flat(300, 300, BLUE))], gap=5)
    assert runs_of(image[20])[1] == (RED, 320)


def test_captions_are_centred_below_their_pictures() -> None:
    panels = [("Content", flat(200, 300, RED)), ("", flat(200, 300, GREEN))]
    image = side_by_side(panels, gap=10)
    strip = image[210:]
    columns = np.flatnonzero((strip < 128).all(axis=(2,)).any(axis=0))
    assert columns.size > 20
    assert abs((columns[0] + columns[-1]) / 2 - (10 + 150)) <= 2
    rows = np.flatnonzero((strip < 128).all(axis=2).any(axis=1))
    assert rows[0] > 2
    assert rows[-1] < len(strip) - 3


def test_long_captions_stay_below_their_picture() -> None:
    panels = [("a very long caption " * 20, flat(200, 120, RED)), ("", flat(200, 120, BLUE))]
    dark = (side_by_side(panels, gap=10)[210:] < 128).all(axis=2).any(axis=0)
    assert dark[10:130].any()
    assert not dark[:10].any()
    assert not dark[130:].any()


def test_letters_that_the_font_lacks_are_replaced() -> None:
    """Pillow's built-in font would draw the same empty box for each of them."""
    panel = flat(200, 400, RED)
    np.testing.assert_array_equal(
        side_by_side([("Nymphéas \u2013 Monet", panel)]),
        side_by_side([("Nympheas - Monet", panel)]),
    )
    np.testing.assert_array_equal(side_by_side([("睡蓮", panel)]), side_by_side([("??", panel)]))


def test_captions_are_light_on_a_dark_background() -> None:
    image = side_by_side([("Style", flat(200, 300, RED))], gap=10, background=(20, 20, 20))
    assert (image[0, 0] == 20).all()
    assert image[210:].max() > 200


def test_a_panel_one_pixel_wide_is_enough() -> None:
    assert side_by_side([("x", flat(1000, 1, RED))], height=50, gap=0).shape[1] == 1


def test_wrong_arguments() -> None:
    with pytest.raises(PictureError, match="no pictures"):
        side_by_side([])
    with pytest.raises(PictureError, match="expected uint8") as caught:
        side_by_side([("style", np.zeros((5, 5, 3), np.float32))])
    assert caught.value.where == "style"
    with pytest.raises(ConfigError, match="size"):
        side_by_side([("x", flat(5, 5, RED))], height=0)
