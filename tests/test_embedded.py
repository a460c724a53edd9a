"""The pictures drawn by code: sizes, repeatability, and that they show what they are meant to."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from nst_graph.embedded import MASKS, MAX_SIDE, PICTURES, draw
from nst_graph.errors import ConfigError


@pytest.fixture(scope="module", params=sorted(PICTURES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (61, 47), (48, 200)])
def test_any_size_is_drawn(name: str, height: int, width: int) -> None:
    picture = draw(name, height, width)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@pytest.mark.slow
def test_large_size_is_drawn(name: str) -> None:
    assert draw(name, 1024, 1024).shape == (1024, 1024, 3)


def test_same_bytes_each_time(name: str) -> None:
    assert np.array_equal(draw(name, 40, 60), draw(name, 40, 60))


def test_composition_does_not_depend_on_size(name: str) -> None:
    """Reduced to a coarse grid, a small and a large drawing are nearly the same picture."""
    small, large = _coarse(draw(name, 72, 96)), _coarse(draw(name, 288, 384))
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.98
    assert np.abs(small - large).mean() < 5


def _coarse(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    height, width, _ = picture.shape
    cells = picture.reshape(12, height // 12, 16, width // 16, 3)
    return cells.mean(axis=(1, 3))


def test_pictures_are_rich(name: str) -> None:
    """Full range of brightness and many colours: flat areas would teach the style nothing."""
    picture = draw(name, 150, 200)
    grey = picture.mean(axis=2)
    assert np.percentile(grey, 1) < 70
    assert np.percentile(grey, 99) > 200
    assert len(np.unique(picture.reshape(-1, 3) // 16, axis=0)) > 400


def test_painting_has_directed_strokes() -> None:
    """Along the furrows of the field the picture varies far less than across them."""
    field = draw("painting", 300, 400)[210:290, 160:390].mean(axis=2)
    along, across = np.abs(np.diff(field, axis=1)).mean(), np.abs(np.diff(field, axis=0)).mean()
    assert across > 1.4 * along


def test_landscape_has_a_sky_above_a_river_with_a_town_between() -> None:
    picture = draw("landscape", 300, 400).astype(float)
    sky, town, river = picture[:60, :100], picture[150:195, 60:190], picture[215:290, 130:260]
    assert sky[..., 2].mean() > sky[..., 0].mean() + 20
    assert town[..., 0].mean() > town[..., 2].mean() + 20
    assert river[..., 2].mean() > river[..., 0].mean()
    assert np.abs(np.diff(town.mean(axis=2), axis=1)).mean() > 8


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_white_and_black_at_any_size(name: str) -> None:
    for height, width in ((32, 32), (61, 47), (300, 400)):
        mask = draw(name, height, width)
        assert mask.shape == (height, width, 3)
        assert (mask.min(), mask.max()) == (0, 255)
        assert (mask == mask[..., :1]).all()


def test_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ConfigError) as caught:
        draw("landscap")
    assert "did you mean 'landscape'?" in str(caught.value)
    assert "painting" in str(caught.value)


@pytest.mark.parametrize(("height", "width"), [(0, 40), (40, 31), (40, MAX_SIDE + 1)])
def test_side_out_of_range(height: int, width: int) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        draw("painting", height, width)


def test_names_cost_no_drawing_library() -> None:
    script = "import sys, nst_graph.embedded; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
