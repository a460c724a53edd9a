"""The cache of targets: it saves the network, and never gives another picture's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import seeded_weights
from problems import CONFIG, pixels

from nst_graph.cache_directory import CacheDirectory
from nst_graph.preprocess import to_network
from nst_graph.target_cache import CachedTargets
from nst_graph.targets import TargetNetwork

pytestmark = pytest.mark.tensorflow

LAYERS = ("relu1_1", "relu2_2")
ABOUT = {"kernels": "ab", "layers": LAYERS}


class Opener:
    """Opens the network, and counts how often."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self) -> TargetNetwork:
        self.opened += 1
        return TargetNetwork(seeded_weights(), "avg", "SAME", LAYERS, LAYERS, CONFIG)


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory("targets", 1 << 20, tmp_path)


def image(seed: int) -> Any:
    return to_network(pixels(seed), "RGB")


def test_the_second_start_needs_no_network(cache: CacheDirectory) -> None:
    opener = Opener()
    with CachedTargets(opener, ABOUT, cache) as targets:
        content, style = targets.content(image(1)), targets.style(image(2))
    assert opener.opened == 1
    with CachedTargets(opener, ABOUT, cache) as targets:
        again, style_again = targets.content(image(1)), targets.style(image(2))
    assert opener.opened == 1
    assert set(again) == set(content) == set(style_again) == set(LAYERS)
    for name in LAYERS:
        np.testing.assert_array_equal(again[name], content[name])
        np.testing.assert_array_equal(style_again[name].gram, style[name].gram)
        assert style_again[name].positions == style[name].positions
        assert style_again[name].gram.dtype == again[name].dtype == np.float32


@pytest.mark.parametrize("change", [{"kernels": "cd"}, {"layers": LAYERS[:1]}, {"more": 1}])
def test_another_network_is_another_entry(cache: CacheDirectory, change: dict[str, Any]) -> None:
    opener = Opener()
    for about in (ABOUT, {**ABOUT, **change}):
        with CachedTargets(opener, about, cache) as targets:
            targets.content(image(1))
    assert opener.opened == 2


def test_pictures_and_their_use_are_told_apart(cache: CacheDirectory) -> None:
    opener = Opener()
    with CachedTargets(opener, ABOUT, cache) as targets:
        first, other = targets.content(image(1)), targets.content(image(2))
        one_value = np.array(image(1))
        one_value[0, 5, 5, 0] += 1
        nearly = targets.content(one_value)
        targets.style(image(1))
    assert not np.array_equal(first["relu1_1"], other["relu1_1"])
    assert not np.array_equal(first["relu1_1"], nearly["relu1_1"])
    assert len(list(cache.path.iterdir())) == 4


def test_a_damaged_entry_is_computed_again(cache: CacheDirectory) -> None:
    opener = Opener()
    with CachedTargets(opener, ABOUT, cache) as targets:
        wanted = targets.content(image(1))
    (entry,) = cache.path.iterdir()
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(bytes(data))
    with CachedTargets(opener, ABOUT, cache) as targets:
        np.testing.assert_array_equal(targets.content(image(1))["relu2_2"], wanted["relu2_2"])
    assert opener.opened == 2
