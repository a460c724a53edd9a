"""MatConvNet's .mat: both layouts as written, and every way such a file can be wrong."""

from __future__ import annotations

import dataclasses
import gzip
import logging
import os
import random
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import matwriter
import numpy as np
import pytest
import scipy.io

from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.types import VggWeights
from nst_graph.weights import WeightsRequest, describe, isolated, load, matconvnet, resolve
from nst_graph.weights import known_files as known_files_module
from nst_graph.weights.cache import WeightsCache
from nst_graph.weights.convolutions import Convolutions, check_vgg19
from nst_graph.weights.known_files import KNOWN_FILES, KnownFile, digests_of_file

CURRENT_NAME = KNOWN_FILES[0].filename


def load_path(path: Path, cache: WeightsCache) -> VggWeights:
    return load(resolve(WeightsRequest(path=path)), cache=cache)


@pytest.fixture
def cache(tmp_path: Path) -> WeightsCache:
    return WeightsCache(tmp_path / "cache")


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19 in full size, of constant kernels: 80 MB that compress to 80 kB."""
    path = tmp_path_factory.mktemp("mat") / "constant.mat"
    return matwriter.write_mat(path, matwriter.constant_weights(), compress=True)


# ---- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize("fc", [True, False], ids=["fc", "no-fc"])
@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize("layout", ["current", "beta16"])
def test_kernels_come_out_as_stored(
    tmp_path: Path, layout: matwriter.Layout, compress: bool, fc: bool
) -> None:
    written = matwriter.seeded_weights(matwriter.TINY19, fc=fc)
    path = matwriter.write_mat(tmp_path / "vgg.mat", written, layout, compress=compress)
    read = matconvnet.parse(path)
    assert set(read.kernels) == set(read.biases) == set(CONVOLUTIONS)
    for name in CONVOLUTIONS:
        kernel, bias = written[name]
        np.testing.assert_array_equal(read.kernels[name], kernel)
        np.testing.assert_array_equal(read.biases[name], bias)
        assert read.kernels[name].dtype == np.float32
        assert read.kernels[name].flags.c_contiguous
    assert (read.channel_order, read.layout) == ("RGB", layout)
    np.testing.assert_array_equal(read.mean, np.float32(matwriter.MEAN_RGB))


def test_fields_are_found_by_name_wherever_they_stand(tmp_path: Path) -> None:
    written = matwriter.seeded_weights(matwriter.TINY19)
    variables = matwriter.variables_of(written)
    for index, layer in enumerate(variables["layers"][0]):
        names = list(layer.dtype.names)
        shuffled = np.empty((1, 1), [(name, object) for name in sorted(names, reverse=True)])
        for name in names:
            shuffled[name] = layer[name]
        variables["layers"][0, index] = shuffled
    scipy.io.savemat(tmp_path / "shuffled.mat", variables)
    read = matconvnet.parse(tmp_path / "shuffled.mat")
    np.testing.assert_array_equal(read.kernels["conv5_4"], written["conv5_4"][0])


@pytest.mark.parametrize("layout", ["current", "beta16"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1), (1, 3), (7, 5, 3)], ids=str)
def test_average_image_in_any_of_its_shapes(
    tmp_path: Path, shape: tuple[int, ...], layout: matwriter.Layout
) -> None:
    numbers = np.float32([120.5, 110.25, 100.125])
    mean = np.broadcast_to(numbers, shape) if shape[-1] == 3 else numbers.reshape(shape)
    written = matwriter.seeded_weights(matwriter.TINY19)
    path = matwriter.write_mat(tmp_path / "mean.mat", written, layout, mean=mean)
    np.testing.assert_array_equal(matconvnet.parse(path).mean, numbers)


def test_a_file_of_layers_alone_has_the_published_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    variables = matwriter.variables_of(matwriter.seeded_weights(matwriter.TINY19))
    scipy.io.savemat(tmp_path / "bare.mat", {"layers": variables["layers"]})
    with caplog.at_level(logging.WARNING):
        read = matconvnet.parse(tmp_path / "bare.mat")
    np.testing.assert_array_equal(read.mean, np.float32(matwriter.MEAN_RGB))
    assert "no averageImage" in caplog.text


def test_double_precision_is_taken_as_float32(tmp_path: Path) -> None:
    written = {
        name: (kernel.astype(np.float64), bias.astype(np.float64))
        for name, (kernel, bias) in matwriter.seeded_weights(matwriter.TINY19).items()
    }
    read = matconvnet.parse(matwriter.write_mat(tmp_path / "double.mat", written))
    assert read.kernels["conv1_1"].dtype == np.float32
    np.testing.assert_array_equal(read.kernels["conv1_1"], np.float32(written["conv1_1"][0]))


def published_rgb(reference: Path) -> dict[str, tuple[Any, Any]]:
    """The real kernels of blocks 1-3 as the .mat stores them: the reference has BGR input."""
    with np.load(reference / "vgg19" / "vgg19_conv1_1_to_conv3_4.npz") as stored:
        names = {key.split("/")[0] for key in stored.files}
        kernels = {n: (stored[f"{n}/kernel"], stored[f"{n}/bias"]) for n in names}
    kernel, bias = kernels["conv1_1"]
    return kernels | {"conv1_1": (np.ascontiguousarray(kernel[:, :, ::-1]), bias)}


@pytest.mark.parametrize("layout", ["current", "beta16"])
def test_published_kernels_keep_their_orientation(
    reference: Path, tmp_path: Path, cache: WeightsCache, layout: matwriter.Layout
) -> None:
    written = matwriter.seeded_weights(given=published_rgb(reference))
    path = matwriter.write_mat(tmp_path / "vgg.mat", written, layout)
    weights = load_path(path, cache)
    kernel, bias = weights.kernels["conv1_1"], weights.biases["conv1_1"]
    np.testing.assert_allclose(kernel[0, 0, 0, :3], [0.39416704, -0.08419707, -0.03631314], 1e-6)
    np.testing.assert_allclose(kernel[0, 1, 0, 0], 0.37740308, 1e-6)
    np.testing.assert_allclose(kernel[1, 0, 0, 0], 0.2671299, 1e-6)
    np.testing.assert_allclose(bias[:3], [0.7301776, 0.0649363, 0.0342885], 1e-5)
    for name in CONVOLUTIONS:
        np.testing.assert_array_equal(weights.kernels[name], written[name][0])
    assert describe(path, cache).orientation == "as published"


def test_swapped_axes_are_noticed(reference: Path, tmp_path: Path, cache: WeightsCache) -> None:
    written = matwriter.constant_weights()
    kernel, bias = published_rgb(reference)["conv1_1"]
    written["conv1_1"] = (kernel.transpose(1, 0, 2, 3), bias)
    path = matwriter.write_mat(tmp_path / "swapped.mat", written, compress=True)
    assert "height and width swapped" in describe(path, cache).orientation


# ---- known and unknown files --------------------------------------------------------------------


def test_an_unknown_file_is_loaded_with_a_warning(
    full_size: Path, cache: WeightsCache, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        weights = load_path(full_size, cache)
    for index, name in enumerate(CONVOLUTIONS, start=1):
        assert weights.kernels[name].shape == kernel_shape(name)
        assert np.all(weights.kernels[name] == 0.125 * index)
        assert np.all(weights.biases[name] == -0.125 * index)
    provenance = weights.provenance
    assert (provenance.source, provenance.known, provenance.pretrained) == (
        "matconvnet",
        False,
        True,
    )
    assert provenance.sha256 == digests_of_file(full_size).sha256
    assert "not one of the published files" in caplog.text and provenance.sha256 in caplog.text


def test_a_known_digest_is_named_and_parsed_without_a_child(
    full_size: Path,
    cache: WeightsCache,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    md5 = digests_of_file(full_size).md5
    record = KnownFile("x", "matconvnet", "x.mat", (), None, md5, None, "current", "Edition X")
    monkeypatch.setattr(known_files_module, "KNOWN_FILES", (*KNOWN_FILES, record))
    monkeypatch.setattr("sys.executable", "/nonexistent/python")  # a child could not start
    with caplog.at_level(logging.WARNING):
        provenance = load_path(full_size, cache).provenance
    assert (provenance.known, provenance.description) == (True, "Edition X")
    assert caplog.text == ""


# ---- damaged files, found without parsing -------------------------------------------------------


def tiny_bytes(tmp_path: Path, compress: bool = False) -> bytes:
    written = matwriter.seeded_weights(matwriter.TINY19)
    return matwriter.write_mat(tmp_path / "whole.mat", written, compress=compress).read_bytes()


@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.7, 0.999, 20, 127, 128, 130, 136, 140])
def test_truncated(tmp_path: Path, kept: float, compress: bool) -> None:
    whole = tiny_bytes(tmp_path, compress)
    path = tmp_path / CURRENT_NAME
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(WeightsError, match=r"cut short.*announces at least") as caught:
        resolve(WeightsRequest(path=path))
    assert f"rename it to {CURRENT_NAME}.part" in caught.value.remedy
    assert "nst-graph download" in caught.value.remedy


def hdf5_bytes(tmp_path: Path, userblock: bytes = b"") -> bytes:
    path = tmp_path / "made.h5"
    with h5py.File(path, "w", userblock_size=len(userblock)) as file:
        file["layers"] = np.zeros((3, 3))
    content = path.read_bytes()
    return userblock + content[len(userblock) :]


MAT73_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(512)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 534904783\n"
MAT4_HEADER = struct.pack("<5i", 0, 2, 2, 0, 7) + b"layers\0" + bytes(32)


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (b"", "an empty file", "nst-graph download"),
        (bytes(5000), "a file of zero bytes", "nst-graph download"),
        (b"\n <!DOCTYPE html><html>404</html>", r"a web page \(HTML\)", "answered with a page"),
        (b"<html><body>503", r"a web page \(HTML\)", "nst-graph download"),
        (LFS, "a git-lfs pointer", "git lfs pull"),
        (gzip.compress(b"x" * 500, mtime=0), "a gzip archive", "unpack"),
        (b"PK\x03\x04" + bytes(500), "a zip archive", "unpacked"),
        (bytes(257) + b"ustar" + bytes(500), "a tar archive", "unpack"),
        (MAT73_HEADER, r"version 7\.3 \(HDF5\)", "'-v7'"),
        (MAT4_HEADER, "of version 4", "nst-graph download"),
        (b"\x80\x04pickled", "no kind known here", "nst-graph download"),
        (b"M", "no kind known here", "nst-graph download"),
    ],
    ids=lambda value: value[:14].decode(errors="replace") if isinstance(value, bytes) else "",
)
@pytest.mark.parametrize("source", ["matconvnet", "auto"])
def test_something_else_is_named(
    tmp_path: Path, source: str, content: bytes, what: str, remedy: str
) -> None:
    path = tmp_path / "weights.mat"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=what) as caught:
        resolve(WeightsRequest(source=source, path=path))
    assert remedy in caught.value.remedy and caught.value.where == str(path)


def test_v4_and_v73_as_their_writers_make_them(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "v4.mat", {"layers": np.zeros((2, 2))}, format="4")
    with pytest.raises(WeightsError, match="of version 4"):
        resolve(WeightsRequest(path=tmp_path / "v4.mat"))
    (tmp_path / "v73.mat").write_bytes(hdf5_bytes(tmp_path, userblock=MAT73_HEADER))
    with pytest.raises(WeightsError, match=r"version 7\.3"):
        resolve(WeightsRequest(path=tmp_path / "v73.mat"))


def test_an_hdf5_under_the_name_of_a_mat_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "weights.mat"
    path.write_bytes(hdf5_bytes(tmp_path))
    assert resolve(WeightsRequest(path=path)).source == "keras"
    with pytest.raises(WeightsError, match="an HDF5 file") as caught:
        resolve(WeightsRequest(source="matconvnet", path=path))
    assert "'keras'" in caught.value.remedy


def test_a_folder_or_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "other.mat").write_bytes(b"")
    with pytest.raises(WeightsError, match="a folder") as caught:
        resolve(WeightsRequest(path=tmp_path))
    assert "other.mat" in caught.value.remedy
    with pytest.raises(WeightsError, match="no such file") as caught:
        resolve(WeightsRequest(path=tmp_path / "othr.mat"))
    assert "other.mat" in caught.value.remedy


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mat")
    with pytest.raises(WeightsError, match="not a regular file"):
        resolve(WeightsRequest(path=tmp_path / "pipe.mat"))


# ---- files that must be parsed to be found out --------------------------------------------------


def test_other_variables_only(tmp_path: Path, cache: WeightsCache) -> None:
    scipy.io.savemat(tmp_path / "other.mat", {"theta": np.eye(2), "costs": np.eye(3)})
    with pytest.raises(WeightsError, match="no variable `layers`; it holds theta, costs"):
        load_path(tmp_path / "other.mat", cache)


def test_layers_of_something_else(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "matrix.mat", {"layers": np.eye(3)})
    with pytest.raises(WeightsError, match="not a cell array of structs"):
        matconvnet.parse(tmp_path / "matrix.mat")
    scipy.io.savemat(tmp_path / "dag.mat", {"layers": {"name": "conv1", "block": "x"}})
    with pytest.raises(WeightsError, match="no field `type`; its fields are name, block"):
        matconvnet.parse(tmp_path / "dag.mat")


def test_another_network(tmp_path: Path, cache: WeightsCache) -> None:
    path = tmp_path / "net.mat"
    matwriter.write_mat(path, matwriter.constant_weights(matwriter.VGG16), compress=True)
    with pytest.raises(WeightsError, match="this is VGG-16") as caught:
        load_path(path, cache)
    assert "nst-graph download" in caught.value.remedy and caught.value.where == str(path)
    alien = {f"conv{n}": (np.zeros((3, 3, 3, 8), np.float32), np.zeros(8)) for n in (1, 2)}
    with pytest.raises(WeightsError, match=r"not VGG-19.*found: conv1, conv2"):
        load_path(matwriter.write_mat(path, alien), cache)


def test_a_value_that_is_not_finite_never_reaches_the_cache(
    tmp_path: Path, cache: WeightsCache
) -> None:
    weights = matwriter.constant_weights()
    weights["conv4_2"][0][1, 1, 5, 5] = np.nan
    path = matwriter.write_mat(tmp_path / "nan.mat", weights, compress=True)
    with pytest.raises(WeightsError, match="kernel conv4_2 holds 1 values that are NaN"):
        load_path(path, cache)
    assert not list(cache.directory.glob("*.npz"))


def test_kernels_that_are_no_floats(tmp_path: Path) -> None:
    weights = matwriter.seeded_weights(matwriter.TINY19)
    kernel, bias = weights["conv4_2"]
    weights["conv4_2"] = (kernel.astype(np.int16), bias)
    with pytest.raises(WeightsError, match="kernel conv4_2 is of type int16"):
        matconvnet.parse(matwriter.write_mat(tmp_path / "integers.mat", weights))


def test_an_average_image_of_a_wrong_shape(tmp_path: Path) -> None:
    weights = matwriter.seeded_weights(matwriter.TINY19)
    path = matwriter.write_mat(tmp_path / "mean.mat", weights, mean=np.float32([1, 2]))
    with pytest.raises(WeightsError, match=r"averageImage has shape \(1, 2\)"):
        matconvnet.parse(path)


def in_memory(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Convolutions:
    """VGG-19 of constant kernels after ``change`` of its kernels and biases."""
    weights = matwriter.constant_weights()
    kernels = {name: kernel for name, (kernel, _) in weights.items()}
    biases = {name: bias for name, (_, bias) in weights.items()}
    change(kernels, biases)
    return Convolutions(kernels, biases, "RGB", np.float32(matwriter.MEAN_RGB), "current")


def remove(kernels: dict[str, Any], _: dict[str, Any]) -> None:
    del kernels["conv4_2"]


def narrow(kernels: dict[str, Any], _: dict[str, Any]) -> None:
    kernels["conv4_2"] = kernels["conv4_2"][:, :, :-1]


def as_theano(kernels: dict[str, Any], _: dict[str, Any]) -> None:
    kernels["conv4_2"] = kernels["conv4_2"].transpose(3, 2, 0, 1)


def short_bias(_: dict[str, Any], biases: dict[str, Any]) -> None:
    biases["conv4_2"] = biases["conv4_2"][:-1]


def infinite_bias(_: dict[str, Any], biases: dict[str, Any]) -> None:
    biases["conv5_4"][3:5] = np.inf


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (remove, "lacks conv4_2"),
        (narrow, r"kernel conv4_2 has shape \(3, 3, 511, 512\), VGG-19 has \(3, 3, 512, 512\)$"),
        (as_theano, r"\[out, in, height, width\]"),
        (short_bias, r"bias conv4_2 has shape \(511,\)"),
        (infinite_bias, "bias conv5_4 holds 2 values that are NaN or infinite"),
    ],
)
def test_a_wrong_layer(change: Any, what: str) -> None:
    check_vgg19(in_memory(lambda kernels, biases: None))
    with pytest.raises(WeightsError) as caught:
        check_vgg19(in_memory(change))
    assert re.search(what, caught.value.what)


@pytest.mark.parametrize("mean", [[1, 2], [1, 2, np.nan], [1, 2, 256], [-1, 2, 3]], ids=str)
def test_a_wrong_mean(mean: list[float]) -> None:
    right = in_memory(lambda kernels, biases: None)
    with pytest.raises(WeightsError, match="mean pixel is"):
        check_vgg19(dataclasses.replace(right, mean=np.float32(mean)))


# ---- files that take the parser down ------------------------------------------------------------

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content.ljust(-len(content) % 8, b"\0")


def matrix_head(flags: int, rows: int, columns: int, name: bytes) -> bytes:
    """Array flags, dimensions and name of a miMATRIX element (MAT-File Format, level 5)."""
    flags_element = element(6, struct.pack("<II", flags, 0))
    size_element = element(5, struct.pack("<ii", rows, columns))
    padded = name.ljust(len(name) + -len(name) % 8, b"\0")
    return flags_element + size_element + struct.pack("<II", 1, len(name)) + padded


def nested_cells(depth: int) -> bytes:
    """A cell in a cell in a cell ...: recursion in the parser runs out of stack."""
    inner = [matrix_head(6, 0, 0, b"") + struct.pack("<II", 9, 0)]
    inner += [matrix_head(1, 1, 1, b"")] * (depth - 1) + [matrix_head(1, 1, 1, b"layers")]
    length, parts = 0, []
    for body in inner:
        length += len(body)
        parts.append(struct.pack("<II", 14, length) + body)
        length += 8
    return HEADER + b"".join(reversed(parts))


def memory_bomb() -> bytes:
    """A compressed matrix that says it has 4 GB of values."""
    values = 0xF0000000
    body = matrix_head(6, 1, values // 8, b"layers") + struct.pack("<II", 9, values)
    packed = zlib.compress(struct.pack("<II", 14, values + len(body)) + body + bytes(1 << 20))
    return HEADER + struct.pack("<II", 15, len(packed)) + packed


def test_a_crash_of_the_parser_is_an_error_like_any_other(
    tmp_path: Path, cache: WeightsCache
) -> None:
    path = tmp_path / "nested.mat"
    path.write_bytes(nested_cells(100_000))
    with pytest.raises(WeightsError, match=r"crashed \(SIG"):
        load_path(path, cache)


def test_a_file_that_asks_for_memory_gets_none(tmp_path: Path, cache: WeightsCache) -> None:
    pytest.importorskip("resource")
    path = tmp_path / "bomb.mat"
    path.write_bytes(memory_bomb())
    with pytest.raises(WeightsError, match="more memory"):
        load_path(path, cache)


def test_a_parser_that_does_not_end_is_ended(full_size: Path) -> None:
    with pytest.raises(WeightsError, match="did not end within 0 s"):
        isolated.parse("matconvnet", full_size, "0" * 64, timeout=0.05)


def structural_positions(tmp_path: Path, whole: bytes) -> list[int]:
    """Bytes that two files of different kernels have in common: everything but the values."""
    other = matwriter.seeded_weights(matwriter.TINY19, seed=1)
    same = matwriter.write_mat(tmp_path / "other.mat", other).read_bytes()
    assert len(same) == len(whole)
    return [i for i in range(124, len(whole)) if whole[i] == same[i]]


def outcome(path: Path) -> str:
    """What loading an unknown file comes to: any exception but WeightsError ends the test."""
    try:
        resolve(WeightsRequest(path=path))
        isolated.parse("matconvnet", path, "0" * 64)
    except WeightsError as error:
        return error.what
    return "read"


def test_flipped_bits_in_the_structure(tmp_path: Path) -> None:
    whole = tiny_bytes(tmp_path)
    positions = structural_positions(tmp_path, whole)
    generator = random.Random(2)
    paths = []
    for number in range(24):
        flipped = bytearray(whole)
        flipped[generator.choice(positions)] ^= 1 << generator.randrange(8)
        paths.append(tmp_path / f"flip{number}.mat")
        paths[-1].write_bytes(flipped)
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(outcome, paths))
    # The whole file is refused for its tiny shapes; what is damaged must be refused as well.
    assert "read" not in outcomes
    assert any("damaged" in what or "cut short" in what for what in outcomes)


def test_flipped_bits_in_a_compressed_file(
    tmp_path: Path, full_size: Path, cache: WeightsCache
) -> None:
    whole = full_size.read_bytes()
    generator = random.Random(3)
    path = tmp_path / "flipped.mat"
    for _ in range(6):
        flipped = bytearray(whole)
        flipped[generator.randrange(136, len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(WeightsError):
            load_path(path, cache)


# ---- description --------------------------------------------------------------------------------


def test_describe_a_whole_file(full_size: Path, cache: WeightsCache) -> None:
    facts = describe(full_size, cache)
    assert (facts.size, facts.problem, facts.known) == (full_size.stat().st_size, "", "")
    assert (facts.layout, facts.channel_order) == ("current", "RGB")
    assert [layer.name for layer in facts.layers] == list(CONVOLUTIONS)
    assert facts.layers[-1].kernel == kernel_shape("conv5_4")
    assert facts.first_values["bias[:3]"] == [-0.125] * 3
    assert facts.orientation == "not the published kernels"
    for expected in (facts.sha256, facts.md5, "conv5_4:", "123.68, 116.779, 103.939"):
        assert expected in str(facts)


def test_describe_a_damaged_file(tmp_path: Path, cache: WeightsCache) -> None:
    path = tmp_path / "cut.mat"
    path.write_bytes(tiny_bytes(tmp_path)[:5000])
    facts = describe(path, cache)
    assert facts.size == 5000 and "cut short" in facts.problem and facts.layers == ()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    assert "a zip archive" in describe(path, cache).problem


# ---- real size ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_second_start_on_a_full_size_file_is_much_faster(
    tmp_path: Path, cache: WeightsCache
) -> None:
    written = matwriter.seeded_weights(fc=True)
    path = matwriter.write_mat(tmp_path / CURRENT_NAME, written)
    assert path.stat().st_size > 534_904_783
    os.utime(path, (1e9, 1e9))
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        weights = load_path(path, cache)
        seconds.append(time.perf_counter() - begin)
    np.testing.assert_array_equal(weights.kernels["conv5_4"], written["conv5_4"][0])
    print(f"first start {seconds[0]:.2f} s, second {seconds[1]:.2f} s")
    assert seconds[0] > 3 * seconds[1]
