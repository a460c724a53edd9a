"""What a job can say of styles, colours and the first image: planned, run, remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from profiles import rgb_profile

from nst_graph.artifacts import read_manifest
from nst_graph.batch import RunState, load_batch, plan_batch, state_of
from nst_graph.batch.work import Shelf
from nst_graph.colors import match_covariance, with_chrominance_of
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.images import WRITE_FORMATS, read_picture, write_picture
from nst_graph.jobs import load_job, make_job
from nst_graph.layers import ACTIVATIONS
from nst_graph.pictures import read_pictures
from nst_graph.plan import Plan, make_plan, plan_file

TINY: dict[str, Any] = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "output": "runs/one",
    "size": 48,
    "weights": {"source": "random"},
    "content_layers": {"relu2_1": 1},
    "style_layers": {"relu1_1": 1, "relu2_2": 2},
    "optimizer": {"steps": 2},
    "log": {"image_every": 0, "losses_every": 1},
}
tensorflow = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(**settings: Any) -> Plan:
    return make_plan(make_job({**TINY, **settings}))


def faults_of(text: str) -> str:
    """What is wrong with a job file."""
    base = "recipe: coursera\ncontent: embedded:landscape\nsize: 48\nweights: {source: random}\n"
    Path("job.yaml").write_text(base + text, encoding="utf-8")
    with pytest.raises(NstGraphError) as caught:
        plan_file(Path("job.yaml"))
    return str(caught.value)


def grey(path: str, value: int, shape: tuple[int, int] = (36, 48)) -> str:
    write_picture(path, np.full((*shape, 3), value, np.uint8))
    return path


# --- planned ---------------------------------------------------------------------------------


def test_one_style_and_several() -> None:
    assert plan_of().styles[0].share == 1
    both = plan_of(
        style=["embedded:landscape", {"picture": "embedded:painting", "weight": 3, "size": 44}]
    )
    assert [style.share for style in both.styles] == [0.25, 0.75]
    assert [max(style.picture.shape) for style in both.styles] == [48, 44]
    assert set(both.sources) == {"content", "style", "style_2"}


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (36, 48)),
        ({"style_scale": 2.0}, (72, 96)),
        ({"style_scale": 1.5, "style_size": 60}, (68, 90)),
        ({"style_scale": 2.0, "size": None, "style_size": None}, (600, 800)),
        ({"style_scale": 1.5, "style_size": "content"}, (54, 72)),
        ({"style_scale": 1.5, "style_size": [40, 60]}, (60, 90)),
    ],
)
def test_style_scale(settings: dict[str, Any], shape: tuple[int, int]) -> None:
    assert plan_of(**settings).style.shape == shape


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("style: []", "5:1: style: no style is in the list"),
        ("style: 3", "5:1: style: no style, got 3"),
        ("style: [{weight: 2}]", "5:9: style.0.picture: is required and missing"),
        ("style: [{picture: a.png, weigth: 2}]", "did you mean 'weight'?"),
        ("style: [{picture: a.png, weigth: 2}]", "5:26: style.0.weigth: unknown key 'weigth'"),
        ("style: [a.png, [b.png]]", "5:16: style.1: no style, got"),
        ("style: [{picture: a.png, weight: 0}]", "style.0.weight: input should be greater than 0"),
        ("style:\n  - embedded:painting\n  - none.png", "7:5: style.1.picture: none.png: no such"),
        ("style: [{picture: embedded:painting, mask: no.png}]", "style.0.mask: no.png: no such"),
        ("style: embedded:painting\nstyle_scale: 0.1", "5:1: style: embedded:painting: 5 x 4"),
        ("style: embedded:painting\nstyle_scale: 0", "6:1: style_scale: input should be greater"),
        ("style: embedded:painting\nstyle_scale: 101", "style_scale: input should be less than"),
        (
            "style: [{picture: a.png, mask: b.png}]\nsession: {precision: fast}",
            "session: precision: fast has no masks",
        ),
        ("style: embedded:painting\ncolor: {match: hist}", "did you mean 'histogram'?"),
        (
            "style: embedded:painting\ninitial_image: {kind: picture}",
            "6:1: initial_image.picture: kind picture needs it",
        ),
        (
            "style: embedded:painting\ninitial_image: {kind: noise, run: runs/a}",
            "6:30: initial_image.run: is for kind run, not noise",
        ),
        (
            "style: embedded:painting\ninitial_image: {kind: picture, picture: no.png}",
            "initial_image.picture: no.png: no such file",
        ),
        (
            "style: embedded:painting\ninitial_image: {kind: run, run: runs/a}",
            "initial_image.run: runs/a holds no run",
        ),
    ],
)
def test_faults_and_their_places(text: str, told: str) -> None:
    found = faults_of(text)
    assert told in found
    assert found.startswith("job.yaml:")


def test_masks_that_leave_nothing() -> None:
    grey("black.png", 0), grey("white.png", 255)
    line = "style: [{picture: embedded:painting, mask: %s}, embedded:landscape]"
    assert "style.0.mask: black.png: the mask is black" in faults_of(line % "black.png")
    found = faults_of(line % "white.png")
    assert "style.1" in found
    assert "the part that the other masks leave" in found


def test_a_picture_whose_pixels_cannot_be_read_as_a_mask() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_picture("cut.png", noise)
    Path("cut.png").write_bytes(Path("cut.png").read_bytes()[:4000])
    found = faults_of("style: [{picture: embedded:painting, mask: cut.png}]")
    assert "style.0.mask: cut.png: the picture is truncated" in found


def test_every_fault_of_the_pictures_at_once() -> None:
    styles = "style: [no.png, {picture: none.png, mask: nothing.png}]\n"
    found = faults_of(styles + "initial_image: {kind: run, run: x}")
    for name in ("no.png", "none.png", "nothing.png", "x holds no run"):
        assert name in found


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"content": "out/photo.png"}, "content"),
        ({"style": ["embedded:painting", "linked/photo.png"]}, "style.1.picture"),
        ({"style": [{"picture": "embedded:painting", "mask": "out/a/photo.png"}]}, "style.0.mask"),
        ({"initial_image": {"kind": "picture", "picture": "out/photo.png"}}, "initial_image"),
        ({"content": "out.previous/photo.png"}, "content"),
    ],
)
def test_inputs_lie_apart_from_the_results(settings: dict[str, Any], key: str) -> None:
    for folder in ("out", "out/a", "out.previous"):
        Path(folder).mkdir()
        grey(f"{folder}/photo.png", 128)
    Path("linked").symlink_to("out")
    with pytest.raises(ConfigError, match="lies in the directory of the results") as caught:
        plan_of(output="out", **settings)
    assert key in caught.value.where
    assert plan_of(output="out.too", **settings)


def test_a_run_does_not_start_from_what_it_replaces() -> None:
    Path("first").mkdir()
    manifest = {"status": "finished", "job": {"picture": {"format": "png"}}}
    Path("first/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    grey("first/result.png", 128)
    found = faults_of(
        "style: embedded:painting\noutput: ./first\ninitial_image: {kind: run, run: first}"
    )
    assert "7:28: initial_image.run: first lies in the directory of the results" in found


# --- names and keys of a batch -----------------------------------------------------------------


def batch(text: str) -> Any:
    base = yaml.safe_dump({key: value for key, value in TINY.items() if key != "style"})
    Path("all.yaml").write_text(base + text, encoding="utf-8")
    return plan_batch(load_batch(Path("all.yaml")))


def test_a_sweep_takes_both_forms_and_patterns() -> None:
    Path("prints").mkdir()
    grey("prints/a.png", 90), grey("prints/b.png", 120)
    found = batch(
        "name: '{style.stem}'\n"
        "sweep: {style: ['prints/*.png', [prints/b.png, {picture: prints/a.png, weight: 2}]]}\n"
    )
    assert [job.name for job in found.jobs] == ["a", "b", "b+a"]
    assert [len(job.plan.styles) for job in found.jobs] == [1, 1, 2]


def test_what_a_run_can_take_over_from_another() -> None:
    """Targets are shared by jobs with the same styles, and by no others."""
    from nst_graph.ingredients import Reusable
    from nst_graph.types import Targets

    grey("mask.png", 128)
    masked = [{"picture": "embedded:painting", "mask": "mask.png"}]
    weights = {"weights": {"source": "random"}}
    settings: list[dict[str, Any]] = [
        {},
        {"style_scale": 1.5},
        {"style": ["embedded:painting", "embedded:landscape"]},
        {"style": [{"picture": "embedded:painting", "weight": 2}, "embedded:landscape"]},
        {"style": masked},
        {"color": {"match": "histogram"}},
    ]
    shelf = Shelf()
    for number, setting in enumerate(settings):
        plan = plan_of(**weights, **setting)
        assert shelf.get(plan).style is None, setting
        shelf.put(plan, Reusable(style=Targets({}, {})))
        assert number + 1 == len(settings) or shelf.get(plan).style is not None
    assert shelf.get(plan_of(losses={"style_weight": 3.0})).style is not None
    assert shelf.get(plan_of(color={"transfer": "luminance"})).style is not None


# --- run -------------------------------------------------------------------------------------


def run(**settings: Any) -> Any:
    from nst_graph import pipeline

    return pipeline.run(plan_of(**settings))


@tensorflow
def test_regions_from_job_to_manifest() -> None:
    grey("left.png", 200)
    styles = [{"picture": "embedded:painting", "mask": "left.png"}, "embedded:landscape"]
    result = run(style=styles, style_scale=1.5)
    assert {"style/relu1_1/painting", "style/relu2_2/landscape"} <= set(result.losses)
    manifest = read_manifest(result.directory) or {}
    assert list(manifest["inputs"]) == ["content", "style", "mask", "style_2"]
    assert all(len(facts["sha256"]) == 64 for facts in manifest["inputs"].values())
    assert manifest["inputs"]["style_2"]["width"] == 72
    header = (result.directory / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "style/relu1_1,style/relu1_1/painting" in header
    again = make_plan(load_job(result.directory / "job.yaml"))
    assert state_of(again) is RunState.FINISHED
    grey("left.png", 201)
    assert state_of(again) is RunState.OTHER


@tensorflow
def test_inspection_and_estimate_count_the_regions() -> None:
    from nst_graph.estimate import estimate
    from nst_graph.inspection import inspect_job

    grey("left.png", 200)
    plain = plan_of(style=["embedded:painting", "embedded:landscape"])
    masked = plan_of(
        style=[{"picture": "embedded:painting", "mask": "left.png"}, "embedded:landscape"]
    )
    grams = [
        next(scope.run for scope in inspect_job(plan).scopes if scope.scope == "gram_matrices")
        for plan in (plain, masked)
    ]
    assert grams[1] >= 2 * grams[0]
    assert estimate(masked).operations > estimate(plain).operations


@tensorflow
def test_a_run_starts_from_a_picture_or_from_another_run() -> None:
    still = {"optimizer": {"steps": 1, "learning_rate": 1e-9}}
    first = run(output="first")
    pixels = read_picture(first.picture).pixels
    for start in (
        {"kind": "run", "run": "first"},
        {"kind": "picture", "picture": str(first.picture)},
    ):
        second = run(output=f"second-{start['kind']}", initial_image=start, **still)
        difference = read_picture(second.picture).pixels.astype(int) - pixels
        assert np.abs(difference).max() <= 1  # the recipe truncates
        assert "initial" in (read_manifest(second.directory) or {})["inputs"]
    larger = run(output="larger", initial_image={"kind": "run", "run": "first"}, size=64, **still)
    assert read_picture(larger.picture).pixels.shape == (48, 64, 3)

    manifest = json.loads(Path("first/manifest.json").read_text(encoding="utf-8"))
    Path("first/manifest.json").write_text(json.dumps({**manifest, "status": "diverged"}))
    found = faults_of("style: embedded:painting\ninitial_image: {kind: run, run: first}")
    assert "the run in first is not finished (status: diverged)" in found


@tensorflow
def test_luminance_transfer_keeps_the_contents_colours_in_every_picture() -> None:
    settings = {"log": {"image_every": 1}, "picture": {"rounding": "nearest"}}
    plain = run(output="plain", **settings)
    kept = run(output="kept", color={"transfer": "luminance"}, **settings)
    assert kept.losses == plain.losses
    content = plan_of().content.read().pixels
    for name in ("result.png", "images/iteration_000001.png"):
        expected = with_chrominance_of(content, read_picture(plain.directory / name).pixels)
        np.testing.assert_array_equal(read_picture(kept.directory / name).pixels, expected)


def test_matched_styles_are_what_enters() -> None:
    pictures = read_pictures(plan_of(color={"match": "covariance"}))
    style = plan_of().style.read().pixels
    expected = match_covariance(style, pictures.content.pixels)
    np.testing.assert_array_equal(pictures.styles[0].pixels, expected)
    assert "colours matched" in pictures.styles[0].notes[-1]


@tensorflow
@pytest.mark.parametrize("extension", sorted({kind.lstrip(".") for kind in WRITE_FORMATS} & {
    "png", "jpg", "webp", "tiff"
}))  # fmt: skip
def test_the_profile_goes_from_content_to_result(extension: str) -> None:
    profile = rgb_profile()
    pixels = plan_of().content.read().pixels
    write_picture(f"photo.{extension}", pixels, icc_profile=profile)
    result = run(
        content=f"photo.{extension}",
        optimizer={"steps": 1},
        picture={"format": extension},
    )
    assert read_picture(result.picture).icc_profile == profile
    assert read_picture(result.directory / "side_by_side.png").icc_profile == profile
    facts = (read_manifest(result.directory) or {})["inputs"]
    assert facts["content"]["icc_profile"] == "test RGB"
    assert facts["style"]["notes"][-1] == "converted from sRGB to test RGB"


@tensorflow
def test_any_layer_under_any_name_with_any_weight() -> None:
    aliases = {
        **dict.fromkeys(ACTIVATIONS[:6], 1.0),
        **{name.replace("relu", "conv"): 0.0 for name in ACTIVATIONS[6:11]},
        "block4_conv4": 0.5,
        **dict.fromkeys(ACTIVATIONS[12:], 0),
    }
    layers = {"content_layers": aliases, "style_layers": aliases}
    result = run(**layers, size=[32, 32], style_size="content", optimizer={"steps": 1})
    for kind in ("content", "style"):
        terms = {name: result.losses[f"{kind}/{name}"] for name in ACTIVATIONS}
        assert all(value >= 0 for value in terms.values())
        weighted = sum(terms[name] for name in ACTIVATIONS[:6]) + 0.5 * terms["relu4_4"]
        assert result.losses[kind] == pytest.approx(weighted, rel=1e-5)
