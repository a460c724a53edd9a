"""The directory of a cache: whole entries or none, and room for new ones."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from nst_graph.cache_directory import CacheDirectory


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory("things", 100, tmp_path)


def put(cache: CacheDirectory, entry: str, size: int) -> None:
    cache.write(entry, lambda file: file.write(bytes(size)))


def read_all(file: BinaryIO) -> bytes:
    return file.read()


def test_what_is_written_is_read(cache: CacheDirectory) -> None:
    assert cache.read("a", read_all) is None
    put(cache, "a", 7)
    assert cache.read("a", read_all) == bytes(7)


def test_entries_used_longest_ago_make_room(cache: CacheDirectory) -> None:
    for age, entry in enumerate(["c", "b", "a"]):
        put(cache, entry, 30)
        os.utime(cache.path / entry, (1e9 - age, 1e9 - age))
    cache.read("a", read_all)  # the oldest until now
    put(cache, "new", 30)
    assert sorted(place.name for place in cache.path.iterdir()) == ["a", "c", "new"]


def test_an_entry_larger_than_the_cache_is_kept_alone(cache: CacheDirectory) -> None:
    put(cache, "a", 30)
    put(cache, "large", 200)
    assert [place.name for place in cache.path.iterdir()] == ["large"]


def test_a_writer_that_fails_leaves_the_entry_as_it_was(cache: CacheDirectory) -> None:
    put(cache, "a", 3)

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        cache.write("a", fail)
    assert cache.read("a", read_all) == bytes(3)
    assert [place.name for place in cache.path.iterdir()] == ["a"]


def test_a_damaged_entry_is_discarded(
    cache: CacheDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    put(cache, "a", 3)

    def refuse(file: BinaryIO) -> None:
        raise ValueError("not whole")

    with caplog.at_level(logging.WARNING):
        assert cache.read("a", refuse) is None
    assert "not whole" in caplog.text
    assert not (cache.path / "a").exists()
