"""Keras's .h5: the four arrangements in which Keras 1, 2 and 3 write a VGG-19."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import h5py
import matwriter
import numpy as np
import pytest

from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS
from nst_graph.weights import WeightsRequest, describe, keras_h5, load, resolve
from nst_graph.weights.cache import WeightsCache

Arrangement = Literal["keras-1", "keras-2", "model.h5", "keras-3 model", "weights.h5", "unnamed"]
ARRANGEMENTS = ("keras-1", "keras-2", "model.h5", "keras-3 model", "weights.h5", "unnamed")


def write_h5(path: Path, weights: matwriter.Weights, arrangement: Arrangement) -> Path:
    """Write ``weights`` (HWIO, BGR) as the Keras version of that name does."""
    with h5py.File(path, "w") as file:
        if arrangement in ("weights.h5", "unnamed"):
            _write_numbered(file, weights, named=arrangement == "weights.h5")
            return path
        root = file
        if "model" in arrangement:
            root = file.create_group("model_weights")
        if arrangement != "keras-1":
            root.attrs["keras_version"] = "2.21.0"
            root.create_group("top_level_model_weights")
        root.create_group("block1_pool").attrs["weight_names"] = []
        for name, (kernel, bias) in weights.items():
            layer = _keras_name(name)
            if arrangement == "keras-1":
                datasets = (f"{layer}_W_1:0", f"{layer}_b_1:0")
            else:
                suffix = "" if arrangement == "keras-3 model" else ":0"
                datasets = (f"{layer}/kernel{suffix}", f"{layer}/bias{suffix}")
            group = root.create_group(layer)
            group.attrs["weight_names"] = [dataset.encode() for dataset in datasets]
            group[datasets[0]], group[datasets[1]] = kernel, bias
    return path


def _keras_name(name: str) -> str:
    return name.replace("conv", "block").replace("_", "_conv") if "conv" in name else name


def _write_numbered(file: Any, weights: matwriter.Weights, named: bool) -> None:
    for number, (name, (kernel, bias)) in enumerate(weights.items()):
        group = file.create_group(f"layers/conv2d{f'_{number}' if number else ''}/vars")
        group["0"], group["1"] = kernel, bias
        if named:
            group.attrs["name"] = _keras_name(name)
    file.create_group("layers/max_pooling2d/vars")


@pytest.fixture
def cache(tmp_path: Path) -> WeightsCache:
    return WeightsCache(tmp_path / "cache")


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_kernels_come_out_as_stored(tmp_path: Path, arrangement: Arrangement) -> None:
    written = matwriter.seeded_weights(matwriter.TINY19)
    read = keras_h5.parse(write_h5(tmp_path / "vgg.h5", written, arrangement))
    assert set(read.kernels) == set(read.biases) == set(CONVOLUTIONS)
    for name, (kernel, bias) in written.items():
        np.testing.assert_array_equal(read.kernels[name], kernel)
        np.testing.assert_array_equal(read.biases[name], bias)
        assert read.kernels[name].dtype == np.float32
    assert read.channel_order == "BGR"
    np.testing.assert_array_equal(read.mean, np.float32([103.939, 116.779, 123.68]))


def test_both_published_forms_are_one_network(
    reference: Path, tmp_path: Path, cache: WeightsCache
) -> None:
    with np.load(reference / "vgg19" / "vgg19_conv1_1_to_conv3_4.npz") as stored:
        names = {key.split("/")[0] for key in stored.files}
        bgr = {n: (stored[f"{n}/kernel"], stored[f"{n}/bias"]) for n in names}
    written = matwriter.seeded_weights(given=bgr)
    path = write_h5(tmp_path / "vgg.h5", written, "keras-1")
    weights = load(resolve(WeightsRequest(path=path)), cache=cache)
    assert (weights.channel_order, weights.provenance.source) == ("BGR", "keras")
    np.testing.assert_array_equal(weights.kernels["conv1_1"], bgr["conv1_1"][0])
    as_rgb = weights.in_channel_order("RGB")
    assert as_rgb.kernels["conv1_1"][0, 1, 0, 0] == pytest.approx(0.37740308, rel=1e-6)
    assert as_rgb.kernels["conv1_1"][1, 0, 0, 0] == pytest.approx(0.2671299, rel=1e-6)
    facts = describe(path, cache)
    assert (facts.orientation, facts.channel_order) == ("as published", "BGR")
    assert facts.first_values["W[0,0,0,:3]"][0] == pytest.approx(0.39416704, rel=1e-6)


@pytest.mark.parametrize("arrangement", ["keras-1", "weights.h5", "unnamed"])
def test_vgg16_is_named(tmp_path: Path, cache: WeightsCache, arrangement: Arrangement) -> None:
    path = write_h5(tmp_path / "vgg16.h5", matwriter.seeded_weights(matwriter.VGG16), arrangement)
    with pytest.raises(WeightsError, match="this is VGG-16"):
        load(resolve(WeightsRequest(path=path)), cache=cache)


def test_something_else_in_hdf5(tmp_path: Path, cache: WeightsCache) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["temperature"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"no convolutions of Keras.*it holds temperature"):
        load(resolve(WeightsRequest(path=path)), cache=cache)
    with h5py.File(path, "w") as file:
        file["block1_conv1/block1_conv1_W_1:0"] = np.zeros((3, 3, 3, 64), np.float32)
    with pytest.raises(WeightsError, match="block1_conv1 lacks its kernel or its bias"):
        keras_h5.parse(path)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, kept: float) -> None:
    written = matwriter.seeded_weights(matwriter.TINY19)
    path = write_h5(tmp_path / "vgg.h5", written, "keras-1")
    whole = path.read_bytes()
    resolve(WeightsRequest(path=path))
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(WeightsError, match="cut short"):
        resolve(WeightsRequest(path=path))


def test_damage_inside_is_an_error_like_any_other(tmp_path: Path, cache: WeightsCache) -> None:
    written = matwriter.seeded_weights(matwriter.TINY19)
    path = write_h5(tmp_path / "vgg.h5", written, "keras-1")
    whole = bytearray(path.read_bytes())
    whole[100:2000] = bytes(1900)  # the root group's symbol table
    path.write_bytes(whole)
    with pytest.raises(WeightsError, match="damaged"):
        load(resolve(WeightsRequest(path=path)), cache=cache)


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_what_keras_itself_saves(tmp_path: Path, library: str, suffix: str) -> None:
    keras = pytest.importorskip(library)
    layers = keras.layers
    model = keras.Sequential([layers.Input((8, 8, 3))])
    for name in CONVOLUTIONS:
        model.add(layers.Conv2D(2, 3, name=_keras_name(name), bias_initializer="random_normal"))
        model.add(layers.ZeroPadding2D(1))
    path = tmp_path / f"vgg19{suffix}"
    if suffix == ".h5" and library == "keras":
        model.save(path)  # Keras 3 keeps plain .h5 for whole models
    else:
        model.save_weights(path)
    read = keras_h5.parse(path)
    for name in CONVOLUTIONS:
        kernel, bias = model.get_layer(_keras_name(name)).get_weights()
        np.testing.assert_array_equal(read.kernels[name], kernel)
        np.testing.assert_array_equal(read.biases[name], bias)
