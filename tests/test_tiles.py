"""Cutting a picture: geometry alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_graph.config import Job
from nst_graph.inspection.facts import layer_facts
from nst_graph.jobs import make_job
from nst_graph.layers import ACTIVATIONS, reach_of, stride_of
from nst_graph.tiles import ALIGNMENT, cut, in_picture, owned_part, positions, window_of

sides = st.integers(1, 6).map(lambda units: ALIGNMENT * units)


@given(st.integers(16, 300), st.integers(16, 300), sides, st.integers(0, 100))
def test_tiles_own_every_pixel_once_and_see_what_they_reach(
    height: int, width: int, side: int, reach: int
) -> None:
    owners = np.zeros((height, width), int)
    for tile in cut(height, width, side, reach):
        for span, length in zip(tile, (height, width), strict=True):
            assert 0 < span.stop - span.start <= side
            assert span.window_start == 0 or span.window_start <= span.start - reach
            assert span.window_stop == length or span.window_stop >= span.stop + reach
            assert not (span.start % ALIGNMENT or span.window_start % ALIGNMENT)
            assert span.window_stop == length or span.window_stop % ALIGNMENT == 0
        rows, columns = tile
        owners[rows.start : rows.stop, columns.start : columns.stop] += 1
    assert (owners == 1).all()


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
@given(st.integers(16, 200), sides)
def test_values_of_every_stride_are_owned_once(
    padding: str, stride: int, length: int, side: int
) -> None:
    """Of windows as of the whole: what is owned there is what belongs here."""
    size = positions(length, stride, padding)
    owners = np.zeros((1, size, 1), int)
    for tile in cut(length, 16, side, 20):
        window = np.arange(length)[window_of(tile)[1]]
        _, rows, _ = owned_part(tile, stride, padding)
        _, there, _ = owned_part(in_picture(tile), stride, padding)
        assert rows.stop <= positions(len(window), stride, padding)
        assert rows.stop - rows.start == there.stop - there.start
        owners[:, there] += 1
    assert (owners == 1).all()


def test_tiles_of_a_picture_are_about_equal() -> None:
    heights = {tile.rows.stop - tile.rows.start for tile in cut(1100, 16, 512, 80)}
    assert heights == {368, 364}


def test_a_side_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        cut(100, 100, 40, 10)


def test_reach_is_the_receptive_field_beyond_the_square_of_a_value() -> None:
    every = make_job(
        {
            "recipe": "coursera",
            "content": "embedded:landscape",
            "style": "embedded:painting",
            "output": "runs/none",
            "style_layers": dict.fromkeys(ACTIVATIONS, 1.0),
        }
    ).job
    assert isinstance(every, Job)
    fields = {layer.name: layer.receptive_field for layer in layer_facts(every, 64, 64)}
    for name in ACTIVATIONS:
        assert fields[name] == stride_of(name) + 2 * reach_of(name)
    assert [reach_of(f"relu{block}_1") for block in range(1, 6)] == [1, 4, 10, 30, 70]
