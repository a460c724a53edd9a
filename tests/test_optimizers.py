"""Adam and gradient descent in the graph, against the oracle's; clipping; the best-image rule."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import oracle
import pytest
from problems import make_problem, network_images, objective_of, oracle_gradient, oracle_of

from nst_graph.artifacts import read_manifest
from nst_graph.config import AdamSettings, LbfgsSettings, LogSettings, SgdSettings
from nst_graph.errors import ConfigError, DivergedError
from nst_graph.images import read_picture
from nst_graph.jobs import load_job, make_job
from nst_graph.optimizers import OPTIMIZERS, optimise
from nst_graph.optimizers.lockstep import lockstep
from nst_graph.optimizers.session_loop import clip_bounds
from nst_graph.pipeline import run
from nst_graph.plan import make_plan
from nst_graph.preprocess import to_pixels
from nst_graph.recipes import RECIPES
from nst_graph.types import Step

pytestmark = pytest.mark.tensorflow

EVERY = LogSettings(losses_every=1, image_every=0)
BEFORE = LogSettings(losses_every=1, image_every=0, read_losses="before_update")
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
JOB = {"content": "embedded:landscape", "style": "embedded:painting", "output": "runs/x"}


def steps_of(recipe: str, settings: object, log: LogSettings = EVERY) -> list[tuple[Step, object]]:
    """Every Step with the image it ends with."""
    with make_problem(recipe) as problem:
        return [(step, step.fetch_image()) for step in optimise(problem, settings, log)]


@pytest.mark.parametrize(
    ("recipe", "epsilon", "beta1"), [("coursera", 1e-8, 0.9), ("tf_eager", 0.1, 0.99)]
)
def test_adam_is_the_oracles(recipe: str, epsilon: float, beta1: float) -> None:
    settings = AdamSettings(steps=4, learning_rate=2.0, beta1=beta1, epsilon=epsilon)
    _, image = steps_of(recipe, settings)[-1]
    start = network_images(recipe)[0].astype(np.float64)
    expected = oracle.adam(
        oracle_gradient(recipe), start, steps=4, lr=2.0, beta1=beta1, epsilon=epsilon
    )
    # With epsilon 1e-8 the first step is lr * sign(gradient): a gradient within rounding of zero
    # can take either sign, and there are few of them.
    difference = np.abs(image - expected)
    assert np.mean(difference > 0.01) < 0.002
    assert np.median(difference) < 1e-4


def test_gradient_descent_is_the_oracles() -> None:
    rate = 1e-2
    settings = SgdSettings(steps=5, learning_rate=rate, decay_rate=0.5, decay_steps=2)
    _, image = steps_of("keras_blog", settings)[-1]
    start = network_images("keras_blog")[0].astype(np.float64)
    expected = oracle.sgd(
        oracle_gradient("keras_blog"), start, steps=5, lr=rate, decay_rate=0.5, decay_steps=2
    )
    moved = np.abs(expected - start).max()
    assert moved > 1
    np.testing.assert_allclose(image, expected, atol=1e-3 * moved)


def test_losses_before_the_update_belong_to_the_image_before_it() -> None:
    """keras_io counts iterations from 1 and prints the loss that it takes the gradient of."""
    log = LogSettings(losses_every=2, image_every=0, read_losses="before_update", first_iteration=1)
    steps = steps_of("keras_io", SgdSettings(steps=5, learning_rate=1e-4), log)
    assert [(step.iteration, step.updates, step.losses_at) for step, _ in steps] == [
        (1, 1, 0),
        (2, 2, 1),
        (3, 3, 2),
        (4, 4, 3),
        (5, 5, 4),
    ]
    assert [bool(step.losses) for step, _ in steps] == [False, True, False, True, True]
    for before, now in ((0, 1), (2, 3), (3, 4)):
        terms, _ = oracle_of("keras_io", steps[before][1])
        assert steps[now][0].losses["total"] == pytest.approx(terms["total"], rel=1e-5)


@pytest.mark.parametrize("clip", ["pixels", "preprocessed"])
def test_clipping_follows_every_update(clip: str) -> None:
    recipe = "tf_eager"
    low, high = clip_bounds(clip, "BGR")
    settings = AdamSettings(steps=3, learning_rate=60.0, epsilon=0.1, clip=clip)
    steps = steps_of(recipe, settings)
    x = network_images(recipe)[0].astype(np.float64)
    optimiser, gradient = oracle.Adam(lr=60.0, epsilon=0.1), oracle_gradient(recipe)
    for step, image in steps:
        assert np.all(image >= low)
        assert np.all(image <= high)
        terms, _ = oracle_of(recipe, image)
        assert step.losses["total"] == pytest.approx(terms["total"], rel=1e-5)
        x = np.clip(optimiser.update(x, gradient(x)), low, high)
    assert np.mean(np.abs(steps[-1][1] - x) > 0.1) < 0.002


def test_the_two_clippings_are_the_articles() -> None:
    low, high = clip_bounds("pixels", "BGR")
    np.testing.assert_allclose(low, [-103.939, -116.779, -123.68], rtol=1e-6)
    np.testing.assert_allclose(high, [255 - 103.939, 255 - 116.779, 255 - 123.68], rtol=1e-6)
    assert clip_bounds("preprocessed", "BGR") == (0.0, 255.0)
    cut = np.clip(np.full((1, 1, 1, 3), -50.0, np.float32), *clip_bounds("preprocessed", "BGR"))
    # The quirk of tf2_blog: no pixel is left that is darker than the mean.
    np.testing.assert_array_equal(to_pixels(cut, "RGB")[0, 0], [124, 117, 104])


@pytest.mark.parametrize("log", [EVERY, BEFORE], ids=lambda log: log.read_losses)
def test_the_best_image_is_the_one_after_the_lowest_loss(log: LogSettings) -> None:
    settings = AdamSettings(steps=14, learning_rate=40.0, keep="best")
    steps = steps_of("coursera", settings, log)
    before = [s.losses["total"] for s, _ in steps_of("coursera", settings, BEFORE)]
    lowest = int(np.argmin(before))
    assert 0 < lowest < len(before) - 1, "the losses must rise again for the test to say anything"
    best = steps[-1][0].best
    assert best is not None
    assert (best.iteration, best.loss) == (lowest, before[lowest])
    np.testing.assert_array_equal(best.image, steps[lowest][1])
    assert not np.array_equal(best.image, steps[-1][1])


def test_the_best_image_becomes_the_result(tmp_path: Path) -> None:
    job = {
        **JOB,
        "recipe": "coursera",
        "size": 48,
        "output": str(tmp_path / "run"),
        "weights": {"source": "random"},
        "optimizer": {"steps": 12, "learning_rate": 80.0, "keep": "best"},
        "log": {"losses_every": 1, "image_every": 1, "read_losses": "before_update"},
    }
    result = run(make_plan(make_job(job)))
    manifest = read_manifest(result.directory)
    assert manifest is not None
    best = manifest["optimizer"]["best"]["iteration"]
    assert best < 11
    kept = read_picture(result.directory / "images" / f"iteration_{best:06d}.png").pixels
    np.testing.assert_array_equal(read_picture(result.picture).pixels, kept)


def test_divergence_keeps_the_last_good_picture_and_names_the_term(tmp_path: Path) -> None:
    job = {
        **JOB,
        "recipe": "keras_io",
        "size": [32, None],
        "output": str(tmp_path / "run"),
        "weights": {"source": "random"},
        "optimizer": {"steps": 9, "learning_rate": 1e12},
        "log": {"losses_every": 1},
    }
    with pytest.raises(
        DivergedError, match=r"(style/|content/|total_variation).* is (nan|inf)"
    ) as caught:
        run(make_plan(make_job(job)))
    assert "the last good picture was kept" in str(caught.value)
    manifest = read_manifest(tmp_path / "run")
    assert manifest is not None
    assert manifest["status"] == "diverged"
    assert math.isfinite(manifest["losses"]["total"])
    assert (tmp_path / "run" / "result.png").is_file()


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_any_recipe_runs_with_any_optimiser(recipe: str, optimizer: str) -> None:
    settings = {
        "adam": AdamSettings(steps=3, learning_rate=0.1),
        "sgd": SgdSettings(steps=3, learning_rate=1e-9),
        "lbfgs": LbfgsSettings(segments=2, evaluations=3),
    }[optimizer]
    with make_problem(recipe) as problem:
        totals = [step.losses["total"] for step in optimise(problem, settings, EVERY)]
    assert len(totals) >= 2
    assert all(map(math.isfinite, totals))
    assert totals[-1] <= totals[0]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_recipe_takes_another_optimiser_with_its_defaults(name: str) -> None:
    job = make_job({**JOB, "recipe": "coursera"}, [f"optimizer.name={name}"]).job
    chosen = {"adam": RECIPES["coursera"].optimizer, "sgd": SgdSettings(), "lbfgs": LbfgsSettings()}
    assert job.optimizer == chosen[name]
    assert job.log.losses_every == {"adam": 20, "sgd": 100, "lbfgs": 1}[name]
    kept = make_job(
        {**JOB, "recipe": "coursera"}, [f"optimizer.name={name}", "log.losses_every=7"]
    ).job
    assert kept.log.losses_every == 7


def test_set_takes_another_optimiser_in_place_of_the_files() -> None:
    path = CONFIGS / "coursera.yaml"  # writes out every key of Adam's
    job = load_job(path, ["log.image_every=3", "optimizer.segments=4", "optimizer.name=lbfgs"]).job
    assert job.optimizer == LbfgsSettings(segments=4)
    assert (job.log.losses_every, job.log.image_every) == (1, 3)
    assert job.losses == RECIPES["coursera"].losses
    same = load_job(path, ["optimizer.name=adam", "optimizer.steps=7"]).job
    assert same.optimizer == RECIPES["coursera"].optimizer.model_copy(update={"steps": 7})


@pytest.mark.parametrize(
    ("name", "typo", "near"),
    [
        ("adam", "learning_rat", "learning_rate"),
        ("sgd", "decay_step", "decay_steps"),
        ("lbfgs", "evaluation", "evaluations"),
    ],
)
def test_a_typo_names_its_place_and_the_nearest_key(
    tmp_path: Path, name: str, typo: str, near: str
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        f"recipe: coursera\ncontent: a\nstyle: b\noptimizer:\n  name: {name}\n  {typo}: 1\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_job(path)
    assert f"{path}:6:3: optimizer.{typo}: unknown key" in str(caught.value)
    assert f"did you mean {near!r}?" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "place", "words"),
    [
        ("{name: lbfg}", "optimizer.name", "did you mean 'lbfgs'?"),
        ("{name: [1]}", "optimizer.name", "choose from: adam, lbfgs, sgd"),
        ("{name: null}", "optimizer.name", "choose from: adam, lbfgs, sgd"),
        ("5", "optimizer", "valid dictionary"),
        ("{name: lbfgs, segments: 0}", "optimizer.segments", "segments: segments, 1 to"),
        ("{name: sgd, clip: pixel}", "optimizer.clip", "did you mean 'pixels'?"),
    ],
)
def test_values_of_the_optimiser_at_fault(
    tmp_path: Path, value: str, place: str, words: str
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"recipe: coursera\ncontent: a\nstyle: b\noptimizer: {value}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_job(path)
    assert f"{path}:4:" in str(caught.value)
    assert f" {place}: " in str(caught.value)
    assert words in str(caught.value)


def test_terms_that_are_not_asked_for_cost_nothing() -> None:
    """Total variation is a term only where a recipe has a formula for it."""
    with make_problem("tf_eager") as problem:
        assert "total_variation" not in problem.terms
    objective = objective_of("tf_eager", total_variation="absolute", total_variation_weight=2.0)
    with make_problem("tf_eager", objective=objective) as problem:
        problem.start()
        losses = problem.read_losses()
    weighted = 1e3 * losses["content"] + 1e-2 * losses["style"] + 2.0 * losses["total_variation"]
    assert losses["total"] == pytest.approx(weighted, rel=1e-5)


# --- lockstep ---------------------------------------------------------------------------------


def test_lockstep_waits_between_values() -> None:
    made: list[int] = []

    def work(emit: Callable[[int], None]) -> None:
        for number in range(5):
            made.append(number)
            emit(number)

    seen = []
    for value in lockstep(work):
        assert made == list(range(value + 1))
        seen.append(value)
    assert seen == [0, 1, 2, 3, 4]


def test_lockstep_raises_what_the_work_raises() -> None:
    def work(emit: Callable[[int], None]) -> None:
        emit(1)
        raise DivergedError("gone")

    values = lockstep(work)
    assert next(values) == 1
    with pytest.raises(DivergedError, match="gone"):
        next(values)


def test_lockstep_ends_its_thread_when_it_is_left() -> None:
    ended = threading.Event()

    def work(emit: Callable[[int], None]) -> None:
        try:
            for number in range(1000):
                emit(number)
        finally:
            ended.set()

    values = lockstep(work)
    assert list(islice(values, 3)) == [0, 1, 2]
    values.close()
    assert ended.is_set()
