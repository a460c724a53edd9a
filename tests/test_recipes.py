"""The recipes: their numbers against the oracle, their job files, their sizes, short runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import oracle
import pytest
import yaml
from PIL import Image
from problems import make_problem, network_images, oracle_of

from nst_graph.artifacts import read_manifest
from nst_graph.errors import ConfigError
from nst_graph.images import read_picture
from nst_graph.jobs import load_job, make_job, to_yaml
from nst_graph.pipeline import run
from nst_graph.plan import make_plan
from nst_graph.preprocess import to_network
from nst_graph.recipes import RECIPES
from nst_graph.recipes.keras_blog import BOOK_TOTAL_VARIATION_WEIGHT

pytestmark = pytest.mark.tensorflow

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
PICTURES = {"content": "embedded:landscape", "style": "embedded:painting"}
NAMES = sorted(RECIPES)
FEW_STEPS = {
    "adam": ["optimizer.steps=5"],
    # The recipe's rate belongs to 400 rows and the real kernels.
    "sgd": ["optimizer.steps=5", "optimizer.learning_rate=0.01"],
    "lbfgs": ["optimizer.segments=5", "optimizer.evaluations=2"],
}


@pytest.mark.parametrize("recipe", NAMES)
def test_losses_of_the_initial_image_are_the_oracles(recipe: str) -> None:
    """A float32 graph against NumPy in float64."""
    initial = network_images(recipe)[0]
    expected, gradient = oracle_of(recipe, initial)
    with make_problem(recipe) as problem:
        problem.start()
        losses = problem.read_losses()
        _, measured = problem.loss_and_gradient(initial)
    assert losses["total"] == pytest.approx(expected["total"], rel=1e-5)
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-5, abs=1e-7 * expected["total"]), name
    np.testing.assert_allclose(measured, gradient, atol=2e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("recipe", NAMES)
def test_settings_are_the_oracles(recipe: str) -> None:
    formula, found = oracle.FORMULAS[recipe], RECIPES[recipe]
    losses = found.losses
    assert losses.content_weight == formula.content_weight
    assert losses.style_weight == formula.style_weight
    assert losses.total_variation_weight == formula.tv_weight
    assert found.network.pooling == formula.pooling
    assert found.network.padding == formula.padding
    assert found.content_layers == {formula.content_layer: 1.0}
    share = 1 / 5 if formula.style_share is None else formula.style_share
    assert found.style_layers == dict.fromkeys(formula.style_layers, share)


@pytest.mark.parametrize("recipe", NAMES)
def test_each_file_runs_five_steps(recipe: str, tmp_path: Path) -> None:
    optimizer = RECIPES[recipe].optimizer.name
    loaded = load_job(
        CONFIGS / f"{recipe}.yaml",
        [
            *(f"{key}={value}" for key, value in PICTURES.items()),
            f"output={tmp_path / 'run'}",
            "size=[36, 45]" if recipe in ("coursera", "tf2_blog") else "size=45",
            "style_size=content",
            "weights.source=random",
            "log.losses_every=1",
            "log.image_every=0",
            *FEW_STEPS[optimizer],
        ],
    )
    seen = []
    result = run(make_plan(loaded), seen.append)
    assert len(seen) == 5
    assert seen[-1].final
    assert all(math.isfinite(step.losses["total"]) for step in seen)
    if recipe not in ("tf_eager", "tf2_blog"):  # Adam's first steps of 5 lead away from the content
        assert seen[-1].losses["total"] < seen[0].losses["total"]
    assert read_picture(result.picture).pixels.shape in ((36, 45, 3), (34, 45, 3))
    manifest = read_manifest(result.directory)
    assert manifest is not None
    assert manifest["status"] == "finished"


@pytest.mark.parametrize("recipe", NAMES)
def test_each_file_is_complete_and_says_what_its_recipe_says(recipe: str) -> None:
    path = CONFIGS / f"{recipe}.yaml"
    loaded = load_job(path)
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    shown = yaml.safe_load(to_yaml(loaded.job))
    assert list(written) == list(shown)
    for section, values in shown.items():
        if isinstance(values, dict) and not section.endswith("_layers"):
            assert list(written[section]) == list(values), section
    pictures = {"content": loaded.job.content, "style": loaded.job.style}
    same = make_job({"recipe": recipe, **pictures, "output": loaded.job.output}).job
    assert loaded.job == same


def test_the_books_edition_is_an_override() -> None:
    settings = ["losses.total_variation_weight=1e-4", "optimizer.segments=20"]
    job = load_job(CONFIGS / "keras_blog.yaml", settings).job
    assert job.losses.total_variation_weight == BOOK_TOTAL_VARIATION_WEIGHT
    assert job.losses.total_variation_weight == oracle.FORMULAS["keras_lbfgs"].tv_weight
    assert job.optimizer.budget == 400


@pytest.mark.parametrize(
    ("recipe", "content", "style", "expected"),
    [
        # (width, height) of the files; (height, width) of what is optimised
        ("keras_blog", (207, 217), (500, 300), ((400, 381), (400, 381))),
        ("keras_io", (910, 607), (1280, 1014), ((400, 599), (400, 599))),
        ("tf_eager", (800, 600), (300, 400), ((384, 512), (512, 384))),
        ("tf2_blog", (640, 480), (300, 400), ((720, 1024), (720, 1024))),
        ("coursera", (400, 300), (400, 300), ((300, 400), (300, 400))),
    ],
)
def test_sizes_are_the_published_ones(
    tmp_path: Path,
    recipe: str,
    content: tuple[int, int],
    style: tuple[int, int],
    expected: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    paths = {"content": tmp_path / "content.png", "style": tmp_path / "style.png"}
    for name, size in (("content", content), ("style", style)):
        Image.new("RGB", size).save(paths[name])
    job = {"recipe": recipe, "output": "x", "weights": {"source": "random"}}
    plan = make_plan(make_job({**job, **{name: str(path) for name, path in paths.items()}}))
    assert (plan.content.shape, plan.style.shape) == expected


@pytest.mark.parametrize(
    ("size", "style_size", "expected"),
    [
        ("[100, null]", "null", ((100, 133), (133, 100))),
        ("[100, null]", "content", ((100, 133), (100, 133))),
        ("64", "[50, null]", ((48, 64), (50, 37))),
        ("null", "content", ((300, 400), (300, 400))),
        ("null", "null", ((300, 400), (400, 300))),
        ("[100, 50]", "null", ((100, 50), (100, 75))),
    ],
)
def test_sizes_in_proportion(
    tmp_path: Path,
    size: str,
    style_size: str,
    expected: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    path = tmp_path / "style.png"
    Image.new("RGB", (300, 400)).save(path)
    job = {
        "recipe": "coursera",
        "content": "embedded:landscape",
        "style": str(path),
        "output": "x",
        "weights": {"source": "random"},
    }
    plan = make_plan(make_job(job, [f"size={size}", f"style_size={style_size}"]))
    assert (plan.content.shape, plan.style.shape) == expected


@pytest.mark.parametrize(
    "override",
    ["size=[null, 400]", "size=[3, null]", "size=content", "style_size=contents", "size=[400]"],
)
def test_sizes_at_fault(override: str) -> None:
    with pytest.raises(ConfigError, match="a size is a longest side") as caught:
        make_job({"recipe": "coursera", **PICTURES, "output": "x"}, [override])
    assert f"--set {override.partition('=')[0]}" in str(caught.value)


def test_nearest_is_pillows(tmp_path: Path) -> None:
    """The Keras example's load_img(target_size=...) with its default interpolation."""
    noise = np.random.default_rng(0).integers(0, 256, (217, 207, 3)).astype(np.uint8)
    path = tmp_path / "content.png"
    Image.fromarray(noise).save(path)
    job = {"recipe": "keras_blog", "content": str(path), "style": str(path), "output": "x"}
    plan = make_plan(make_job({**job, "weights": {"source": "random"}}))
    expected = np.asarray(Image.fromarray(noise).resize((381, 400), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(plan.content.read().pixels, expected)
    np.testing.assert_array_equal(plan.style.read().pixels, expected)


def test_bgr_recipes_reverse_the_channels() -> None:
    picture = np.array([[[200, 100, 50]]], np.uint8)
    np.testing.assert_allclose(
        to_network(picture, RECIPES["keras_blog"].network.channel_order)[0, 0, 0],
        [50 - 103.939, 100 - 116.779, 200 - 123.68],
        rtol=1e-6,
    )
