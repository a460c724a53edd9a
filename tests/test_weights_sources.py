"""Which source and which file a request comes to, and what is said about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import matwriter
import pytest

from nst_graph.errors import ConfigError, WeightsError
from nst_graph.weights import SOURCE_CHOICES, SOURCES, WeightsRequest, load, resolve
from nst_graph.weights.known_files import KNOWN_FILES, FileDigests, digests_of_file, known_file_of

MAT, BETA16, H5 = KNOWN_FILES[0].filename, KNOWN_FILES[1].filename, KNOWN_FILES[3].filename


def make_mat(path: Path) -> Path:
    return matwriter.write_mat(path, matwriter.seeded_weights(matwriter.TINY19))


def make_h5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["block1_conv1/kernel:0"] = [1.0]
    return path


def test_auto_prefers_the_mat_then_the_h5_then_random(tmp_path: Path) -> None:
    request = WeightsRequest(directory=tmp_path, seed=7)
    resolved = resolve(request)
    assert (resolved.source, resolved.path, resolved.seed) == ("random", None, 7)
    make_h5(tmp_path / H5)
    resolved = resolve(request)
    assert (resolved.source, resolved.path) == ("keras", tmp_path / H5)
    make_mat(tmp_path / MAT)
    resolved = resolve(request)
    assert (resolved.source, resolved.path, resolved.notice) == ("matconvnet", tmp_path / MAT, "")


def test_falling_back_to_random_is_said_aloud(tmp_path: Path) -> None:
    notice = resolve(WeightsRequest(directory=tmp_path / "pretrained", seed=5)).notice
    for words in ("random kernels (seed 5)", "not by VGG-19", "`nst-graph download`"):
        assert words in notice
    (tmp_path / f"{MAT}.part").write_bytes(b"half")
    notice = resolve(WeightsRequest(directory=tmp_path)).notice
    assert f"{MAT}.part there is an unfinished download" in notice
    assert resolve(WeightsRequest(source="random", directory=tmp_path)).notice == ""


def test_a_damaged_file_is_never_passed_over_for_random(tmp_path: Path) -> None:
    (tmp_path / MAT).write_bytes(b"<html>404</html>")
    make_h5(tmp_path / H5)
    with pytest.raises(WeightsError, match="a web page"):
        resolve(WeightsRequest(directory=tmp_path))


def test_published_names_come_first_and_a_sole_stranger_is_taken(tmp_path: Path) -> None:
    stranger = make_mat(tmp_path / "vgg.mat")
    request = WeightsRequest(source="matconvnet", directory=tmp_path)
    assert resolve(request).path == stranger
    make_mat(tmp_path / "another.mat")
    for source in ("matconvnet", "auto"):
        with pytest.raises(WeightsError, match=r"several weights files: another\.mat, vgg\.mat"):
            resolve(WeightsRequest(source=source, directory=tmp_path))
    make_mat(tmp_path / BETA16)
    assert resolve(request).path == tmp_path / BETA16
    make_mat(tmp_path / MAT)
    assert resolve(request).path == tmp_path / MAT


@pytest.mark.parametrize("source", ["matconvnet", "keras"])
def test_no_file_for_a_source_that_needs_one(tmp_path: Path, source: str) -> None:
    with pytest.raises(WeightsError, match=f"file for source '{source}'") as caught:
        resolve(WeightsRequest(source=source, directory=tmp_path / "nowhere"))
    assert "nst-graph download" in caught.value.remedy and "random" in caught.value.remedy


def test_kind_counts_not_extension(tmp_path: Path) -> None:
    path = make_mat(tmp_path / "weights.h5")
    assert resolve(WeightsRequest(path=path)).source == "matconvnet"
    with pytest.raises(WeightsError, match="source 'keras' does not read") as caught:
        resolve(WeightsRequest(source="keras", path=path))
    assert "'matconvnet'" in caught.value.remedy


def test_an_unknown_source_and_a_path_for_random(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown weights source 'matconvent'") as caught:
        resolve(WeightsRequest(source="matconvent"))
    assert "did you mean 'matconvnet'" in caught.value.remedy
    assert all(choice in caught.value.remedy for choice in SOURCE_CHOICES)
    with pytest.raises(ConfigError, match="reads no file"):
        resolve(WeightsRequest(source="random", path=tmp_path / "x.mat"))


def test_random_needs_the_pictures() -> None:
    with pytest.raises(WeightsError, match="pictures"):
        load(resolve(WeightsRequest(source="random")))


@pytest.mark.parametrize("name", [name for name, s in SOURCES.items() if s.kind is not None])
def test_every_file_source_of_the_table_has_its_parser(name: str) -> None:
    assert callable(SOURCES[name].parser())
    assert SOURCES[name].summary and SOURCES[name].pattern


def test_known_files_are_told_by_their_digests(tmp_path: Path) -> None:
    keys = [known.key for known in KNOWN_FILES]
    assert keys == ["mat", "mat-beta16", "mat-2015", "keras-h5"]
    for known in KNOWN_FILES:
        assert known.source in SOURCES
        sha256 = known.sha256 or "0" * 64
        assert known_file_of(FileDigests(sha256=sha256, md5=known.md5)) is known
    # An MD5 can be forged: where the SHA-256 is known, it alone counts.
    assert known_file_of(FileDigests(sha256="0" * 64, md5=KNOWN_FILES[0].md5)) is None
    (tmp_path / "abc").write_bytes(b"abc")
    digests = digests_of_file(tmp_path / "abc")  # test vectors of RFC 1321 and FIPS 180-2
    assert digests.md5 == "900150983cd24fb0d6963f7d28e17f72"
    assert digests.sha256.startswith("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61")


def test_resolving_imports_nothing_heavy(tmp_path: Path) -> None:
    make_mat(tmp_path / MAT)
    program = (
        "import sys; from pathlib import Path; from nst_graph.weights import *;"
        f"print(resolve(WeightsRequest(directory=Path({str(tmp_path)!r}))).source);"
        "print(sorted({'tensorflow', 'scipy', 'h5py', 'pooch'} & set(sys.modules)))"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert child.stdout.split("\n")[:2] == ["matconvnet", "[]"]
