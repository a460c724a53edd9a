"""The cache of convolutions and digests: what it saves, and that it never serves a wrong value."""

from __future__ import annotations

import io
import os
import random
import time
from pathlib import Path

import matwriter
import numpy as np
import pytest

from nst_graph.cache_directory import CACHE_VARIABLE, default_cache_directory
from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS
from nst_graph.weights import WeightsRequest, load, resolve
from nst_graph.weights import cache as cache_module
from nst_graph.weights.cache import (
    FileStamp,
    WeightsCache,
    check_unchanged,
    entry_of,
    pack,
    unpack,
)
from nst_graph.weights.convolutions import Convolutions
from nst_graph.weights.known_files import digests_of_file

KEY = "ab" * 32
LONG_AGO = (1e9, 1e9)


@pytest.fixture(scope="module")
def convolutions() -> Convolutions:
    weights = matwriter.seeded_weights()
    return Convolutions(
        kernels={name: kernel for name, (kernel, _) in weights.items()},
        biases={name: bias for name, (_, bias) in weights.items()},
        channel_order="BGR",
        mean=np.float32([103.5, 116.25, 123.125]),
        layout="keras-1",
    )


@pytest.fixture(scope="module")
def packed(convolutions: Convolutions) -> bytes:
    file = io.BytesIO()
    pack(file, convolutions, KEY)
    return file.getvalue()


@pytest.fixture
def cache(tmp_path: Path) -> WeightsCache:
    return WeightsCache(tmp_path / "cache")


def assert_same(one: Convolutions, other: Convolutions) -> None:
    for name in CONVOLUTIONS:
        np.testing.assert_array_equal(one.kernels[name], other.kernels[name])
        np.testing.assert_array_equal(one.biases[name], other.biases[name])
    np.testing.assert_array_equal(one.mean, other.mean)
    assert (one.channel_order, one.layout) == (other.channel_order, other.layout)


def test_what_is_stored_comes_back(cache: WeightsCache, convolutions: Convolutions) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, convolutions)
    kept = cache.load(KEY)
    assert kept is not None
    assert_same(kept, convolutions)
    (entry,) = cache.directory.iterdir()  # no temporary file is left
    assert KEY in entry.name and entry.stat().st_size < 80_500_000


def test_no_flipped_bit_changes_a_value(packed: bytes, convolutions: Convolutions) -> None:
    generator = random.Random(0)
    size = len(packed)
    # Everywhere in the values, and closely in the directory at the end of the archive.
    positions = [generator.randrange(size) for _ in range(12)]
    positions += [size - 1 - generator.randrange(4000) for _ in range(12)]
    refused = 0
    for position in positions:
        flipped = bytearray(packed)
        flipped[position] ^= 1 << generator.randrange(8)
        try:
            read = unpack(io.BytesIO(flipped), KEY)
        except ValueError:
            refused += 1
        else:  # a time stamp of the archive, say
            assert_same(read, convolutions)
    assert refused >= 12


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an archive", bytes(1000)])
def test_a_damaged_entry_is_discarded_and_built_again(
    cache: WeightsCache, convolutions: Convolutions, content: bytes
) -> None:
    cache.directory.mkdir(parents=True)
    place = cache.directory / entry_of(KEY)
    place.write_bytes(content)
    assert cache.load(KEY) is None
    assert not place.exists()


def test_a_truncated_entry_is_discarded(cache: WeightsCache, packed: bytes) -> None:
    cache.directory.mkdir(parents=True)
    (cache.directory / entry_of(KEY)).write_bytes(packed[: len(packed) // 2])
    assert cache.load(KEY) is None


def test_an_entry_of_another_file_is_discarded(cache: WeightsCache, packed: bytes) -> None:
    cache.directory.mkdir(parents=True)
    (cache.directory / entry_of("cd" * 32)).write_bytes(packed)
    assert cache.load("cd" * 32) is None


def test_a_write_that_fails_leaves_the_old_entry(
    cache: WeightsCache,
    convolutions: Convolutions,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache.store(KEY, convolutions)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    cache.store(KEY, convolutions)
    assert "No space left" in caplog.text
    assert len(list(cache.directory.iterdir())) == 1
    assert cache.load(KEY) is not None


def test_a_cache_that_cannot_be_made_is_a_warning(
    tmp_path: Path, convolutions: Convolutions, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = WeightsCache(tmp_path / "file")
    cache.store(KEY, convolutions)
    assert cache.load(KEY) is None
    assert "cannot be written" in caplog.text


def test_what_a_killed_writer_left_is_swept(
    cache: WeightsCache, convolutions: Convolutions
) -> None:
    cache.directory.mkdir(parents=True)
    old, new = (cache.directory / f".writing-{name}" for name in ("old", "new"))
    for left in (old, new):
        left.write_bytes(b"half")
    os.utime(old, LONG_AGO)
    cache.store(KEY, convolutions)
    assert new.exists() and not old.exists()


# ---- digests ------------------------------------------------------------------------------------


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "some.mat"
    path.write_bytes(b"some weights")
    os.utime(path, LONG_AGO)
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths in the order in which they are really hashed."""
    calls: list[Path] = []

    def counting(path: Path) -> cache_module.FileDigests:
        calls.append(path)
        return digests_of_file(path)

    monkeypatch.setattr(cache_module, "digests_of_file", counting)
    return calls


def test_an_unchanged_file_is_hashed_once(
    cache: WeightsCache, weights_file: Path, hashed: list[Path]
) -> None:
    first = cache.digests(weights_file)
    assert cache.digests(weights_file) == first == digests_of_file(weights_file)
    assert len(hashed) == 1


def test_a_changed_file_is_hashed_again(
    cache: WeightsCache, weights_file: Path, hashed: list[Path]
) -> None:
    first = cache.digests(weights_file)
    weights_file.write_bytes(b"SOME weights")  # same length, and below the same time stamp
    os.utime(weights_file, LONG_AGO)
    assert cache.digests(weights_file) != first
    assert len(hashed) == 2


def test_a_file_just_written_is_not_remembered(
    cache: WeightsCache, weights_file: Path, hashed: list[Path]
) -> None:
    os.utime(weights_file)
    cache.digests(weights_file)
    cache.digests(weights_file)
    assert len(hashed) == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"digests": {"sha256": "x", "md5": "y"}, "stamp": {}}']
)
def test_a_damaged_index_entry_is_made_again(
    cache: WeightsCache, weights_file: Path, hashed: list[Path], content: bytes
) -> None:
    right = cache.digests(weights_file)
    (entry,) = cache.directory.iterdir()
    entry.write_bytes(content)
    assert cache.digests(weights_file) == cache.digests(weights_file) == right
    assert len(hashed) == 2


def test_a_file_that_changes_while_it_is_read_is_an_error(weights_file: Path) -> None:
    stamp = FileStamp.of(weights_file)
    check_unchanged(weights_file, stamp)
    with weights_file.open("ab") as file:
        file.write(b"more")
    with pytest.raises(WeightsError, match="changed while it was being read"):
        check_unchanged(weights_file, stamp)


# ---- as a whole ---------------------------------------------------------------------------------


def test_the_second_start_parses_nothing(
    tmp_path: Path, cache: WeightsCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = matwriter.write_mat(tmp_path / "w.mat", matwriter.constant_weights(), compress=True)
    os.utime(path, LONG_AGO)
    first = load(resolve(WeightsRequest(path=path)), cache=cache)
    monkeypatch.setattr("sys.executable", "/nonexistent/python")  # a child could not start
    second = load(resolve(WeightsRequest(path=path)), cache=cache)
    assert second.provenance == first.provenance
    with pytest.raises(WeightsError, match="cannot be started"):
        load(resolve(WeightsRequest(path=path)), cache=WeightsCache(tmp_path / "no cache"))
    for name in CONVOLUTIONS:
        np.testing.assert_array_equal(second.kernels[name], first.kernels[name])


def test_reading_an_entry_is_cheap(cache: WeightsCache, convolutions: Convolutions) -> None:
    cache.store(KEY, convolutions)
    begin = time.perf_counter()
    assert cache.load(KEY) is not None
    assert time.perf_counter() - begin < 1.0  # 0.05-0.1 s on an idle machine


def test_the_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert default_cache_directory() == tmp_path / "mine"
    assert WeightsCache().directory == tmp_path / "mine" / "weights"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert "nst_graph" in str(default_cache_directory())
