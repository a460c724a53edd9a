"""Runs of several sizes, from coarse to fine."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from networks import seeded_weights

from nst_graph.artifacts import read_manifest
from nst_graph.checkpoint import load_checkpoint
from nst_graph.config import Job
from nst_graph.errors import NstGraphError
from nst_graph.estimate import estimate
from nst_graph.images import read_picture
from nst_graph.jobs import load_job, make_job, to_yaml
from nst_graph.plan import Plan, make_plan
from nst_graph.schema import job_file_schema
from nst_graph.types import Step

SETTINGS = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "sizes": [48, {"size": [48, 64], "optimizer": {"name": "adam", "steps": 3}}, 96],
    "weights": {"source": "random"},
    "content_layers": {"relu2_1": 1},
    "style_layers": {"relu1_1": 1},
    "optimizer": {"steps": 2},
    "log": {"image_every": 0, "losses_every": 1},
}
LBFGS_FIRST = (
    "sizes=[{size: 48, optimizer: {name: lbfgs, segments: 2, evaluations: 3}}, "
    "{size: 64, optimizer: {name: sgd, steps: 3, learning_rate: 1.0e-7}}, 96]"
)
BEST = ("recipe=tf_eager", "sizes=[48, 64]", "optimizer={name: adam, steps: 3, keep: best}")

tensorflow = pytest.mark.tensorflow


def plan_of(output: Path, *overrides: str) -> Plan:
    return make_plan(make_job({**SETTINGS, "output": str(output)}, overrides))


def run(plan: Plan, watch: Callable[[Step], None] = lambda step: None, **options: bool) -> Path:
    from nst_graph import pipeline
    from nst_graph.ingredients import Reusable

    reuse = Reusable(seeded_weights())
    return pipeline.run(plan, watch, reuse=reuse, **options).directory


def rows_of(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("seconds")
    return rows


def test_each_stage_has_its_sizes_and_its_optimiser(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert [stage.content.shape for stage in plan.stages] == [(36, 48), (48, 64), (72, 96)]
    assert [max(stage.style.shape) for stage in plan.stages] == [48, 64, 96]
    assert [stage.job.optimizer.budget for stage in plan.stages] == [2, 3, 2]
    assert plan.budget == 7
    assert plan.content.shape == (72, 96)
    assert plan.describe_work() == (
        "adam, 2 steps (after 48x36: adam, 2 steps; 64x48: adam, 3 steps)"
    )
    assert all(stage.job.sizes is None for stage in plan.stages)


@pytest.mark.parametrize(
    ("style_size", "expected"),
    [("160", [80, 107, 160]), ("[80, 160]", [80, 107, 160]), ("content", [48, 64, 96])],
)
def test_the_style_shrinks_with_the_content(
    tmp_path: Path, style_size: str, expected: list[int]
) -> None:
    plan = plan_of(tmp_path, f"style_size={style_size}")
    assert [max(stage.style.shape) for stage in plan.stages] == expected


def test_one_size_is_one_stage(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "sizes=null", "size=48")
    assert plan.stages == (plan,)
    assert plan_of(tmp_path, "size=48").job == plan.job, "--set size takes the place of sizes"
    other = plan_of(tmp_path, "recipe=keras_blog", "optimizer={name: lbfgs}")
    assert other.job.size is None, "and sizes that of the recipe's size"


def test_memory_is_that_of_the_largest_and_work_that_of_all(tmp_path: Path) -> None:
    staged = estimate(plan_of(tmp_path))
    alone = [
        estimate(plan_of(tmp_path, f"size={size}", f"optimizer.steps={steps}"))
        for size, steps in (("48", 2), ("[48, 64]", 3), ("96", 2))
    ]
    assert staged.memory_mb == alone[-1].memory_mb
    assert staged.operations == sum(each.operations for each in alone)


def test_the_complete_job_is_the_same_job_again(tmp_path: Path) -> None:
    job = plan_of(tmp_path, LBFGS_FIRST).job
    (tmp_path / "again.yaml").write_text(to_yaml(job), encoding="utf-8")
    assert load_job(tmp_path / "again.yaml").job == job


@pytest.mark.parametrize(
    ("line", "place", "text"),
    [
        ("sizes: [48, 5]", "1:13: sizes.1", "a size is a longest side"),
        ("sizes: []", "1:1: sizes", "a list of 1 to 16"),
        ("sizes: 48", "1:1: sizes", "a list of 1 to 16"),
        ("sizes: [48, {size: 64, optimiser: 1}]", "1:24: sizes.1.optimiser", "'optimizer'?"),
        ("sizes: [48, {optimizer: {name: adam}}]", "1:13: sizes.1", "is required and missing"),
        ("sizes: [{size: 48, optimizer: {name: adm}}]", "1:32: sizes.0.optimizer.name", "'adam'?"),
        (
            "sizes: [{size: 48, optimizer: {name: lbfgs, steps: 3}}]",
            "1:45: sizes.0.optimizer.steps",
            "choose from: evaluations",
        ),
        (
            "sizes: [{size: 48, optimizer: {name: sgd, steps: 0}}]",
            "1:43: sizes.0.optimizer.steps",
            "greater than or equal to 1",
        ),
        ("sizes: [48]\nsize: 48", "1:1: sizes", "exclude each other"),
        ("sizes: [20, 96]", "1:9: sizes.0", "out of range"),
    ],
)
def test_faults_of_stages_have_their_place(
    tmp_path: Path, line: str, place: str, text: str
) -> None:
    path = tmp_path / "job.yaml"
    rest = {key: value for key, value in SETTINGS.items() if key not in ("sizes", "optimizer")}
    path.write_text(f"{line}\n{yaml.safe_dump(rest)}", encoding="utf-8")
    with pytest.raises(NstGraphError) as caught:
        make_plan(load_job(path))
    assert text in str(caught.value)
    assert f"job.yaml:{place}" in str(caught.value)
    assert str(caught.value).count("job.yaml:") == 1


def test_the_schema_takes_both_forms_of_a_stage() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = job_file_schema()
    for sizes in ([48, [48, 64], {"size": 96, "optimizer": {"name": "adam"}}], None):
        jsonschema.validate({**SETTINGS, "sizes": sizes}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**SETTINGS, "sizes": ["large"]}, schema)


def test_a_job_of_one_size_says_nothing_of_stages() -> None:
    job = Job.model_validate(make_job({**SETTINGS, "sizes": None, "output": "x"}).job.model_dump())
    assert job.stages == (job,)


@tensorflow
def test_an_enlarged_image_keeps_what_is_smooth() -> None:
    from nst_graph.stages import resized

    ramp = np.linspace(-200, 200, 48, dtype=np.float32)
    image = np.broadcast_to(ramp[np.newaxis, np.newaxis, :, np.newaxis], (1, 36, 48, 3))
    large = resized(np.ascontiguousarray(image), 72, 96)
    assert (large.shape, large.dtype) == ((1, 72, 96, 3), np.float32)
    np.testing.assert_allclose(large[0, 30, 10:86, 1].mean(), 0, atol=1e-3)
    np.testing.assert_allclose(np.diff(large[0, 30, 10:86, 1]), 400 / 47 / 2, rtol=0.05)
    assert large.min() < -190, "nothing is clipped"


@tensorflow
def test_counts_go_on_through_the_stages(tmp_path: Path) -> None:
    steps: list[Step] = []
    directory = run(plan_of(tmp_path / "run", LBFGS_FIRST), steps.append)
    assert [step.iteration for step in steps] == list(range(7))
    assert [step.stage for step in steps] == [1, 1, 2, 2, 2, 3, 3]
    assert [step.final for step in steps] == [False] * 6 + [True]
    evaluations = [step.evaluations or 0 for step in steps]
    assert list(np.diff(evaluations[1:])) == [1] * 5, "an update of SGD and Adam is one"
    updates = [step.updates for step in steps]
    assert updates == sorted(updates)
    rows = rows_of(directory)
    assert [row["stage"] for row in rows] == ["1", "1", "2", "2", "2", "3", "3"]
    assert [bool(row["status"]) for row in rows] == [True] * 2 + [False] * 5
    assert read_picture(directory / "result.png").pixels.shape == (72, 96, 3)
    manifest = read_manifest(directory) or {}
    assert [stage["content"] for stage in manifest["stages"]] == [[36, 48], [48, 64], [72, 96]]
    assert [stage["optimizer"]["name"] for stage in manifest["stages"]] == ["lbfgs", "sgd", "adam"]
    assert manifest["optimizer"]["evaluations"] == evaluations[-1]
    log = (directory / "run.log").read_text(encoding="utf-8")
    assert "stage 2: 64x48, sgd, 3 steps" in log


@tensorflow
def test_a_stage_starts_from_the_result_of_the_one_before(tmp_path: Path) -> None:
    """With a rate of next to nothing the second stage shows what it was given."""
    from nst_graph.preprocess import to_pixels
    from nst_graph.stages import resized

    still = "{name: sgd, steps: 1, learning_rate: 1.0e-30}"
    images: list[np.ndarray] = []
    plan = plan_of(
        tmp_path / "run", f"sizes=[48, {{size: 96, optimizer: {still}}}]", "optimizer.steps=4"
    )
    directory = run(plan, lambda step: images.append(step.fetch_image()))
    expected = resized(images[3], 72, 96)
    np.testing.assert_allclose(images[4], expected, atol=1e-4)
    result = read_picture(directory / "result.png").pixels
    np.testing.assert_array_equal(result, to_pixels(images[4], "RGB", "truncate"))


@tensorflow
@pytest.mark.parametrize(
    ("overrides", "stops"),
    [
        ((), (0, 1, 3)),
        ((), (2, 4, 5)),
        ((LBFGS_FIRST,), (0, 1, 2)),
        (BEST, (1, 2, 4)),
    ],
)
def test_a_run_is_resumed_in_any_stage_to_the_same_bits(
    tmp_path: Path, overrides: tuple[str, ...], stops: tuple[int, ...]
) -> None:
    from nst_graph.interruption import Interrupted
    from nst_graph.resumption import plan_to_resume

    whole = run(plan_of(tmp_path / "whole", *overrides))
    plan = plan_of(tmp_path / "parts", *overrides)
    for number, stop in enumerate(stops):

        def watch(step: Step, stop: int = stop) -> None:
            if step.iteration == stop:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(Interrupted):
            run(plan if number == 0 else plan_to_resume(plan.output), watch, resume=number > 0)
        assert load_checkpoint(plan.output).state.next_iteration == stop + 1
        assert (plan.output / "result.png").is_file()
        assert (plan.output / "side_by_side.png").is_file()
    run(plan_to_resume(plan.output), resume=True)
    assert rows_of(whole) == rows_of(plan.output)
    ours = read_picture(plan.output / "result.png").pixels
    np.testing.assert_array_equal(ours, read_picture(whole / "result.png").pixels)
    manifests = [read_manifest(directory) or {} for directory in (whole, plan.output)]
    for key in ("steps", "losses", "optimizer", "stages"):
        assert manifests[0][key] == manifests[1][key], key


@tensorflow
def test_one_entry_of_sizes_has_its_own_optimiser(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "run", "sizes=[{size: 48, optimizer: {name: adam, steps: 4}}]")
    assert (plan.budget, plan.describe_work()) == (4, "adam, 4 steps")
    assert len(rows_of(run(plan))) == 4


@tensorflow
@pytest.mark.parametrize("engine", ["function", "eager"])
def test_other_engines_and_tensorboard(tmp_path: Path, engine: str) -> None:
    overrides = (f"engine={engine}", "log.tensorboard=true", "sizes=[48, 64]")
    directory = run(plan_of(tmp_path / "run", *overrides))
    assert len(rows_of(directory)) == 4
    assert len(list((directory / "tensorboard").iterdir())) == 1


@tensorflow
def test_styles_and_colours_of_the_content_at_every_size(tmp_path: Path) -> None:
    overrides = (
        "sizes=[48, 96]",
        "style=[{picture: 'embedded:painting', size: 96}, {picture: 'embedded:landscape'}]",
        "color.transfer=luminance",
        "log.image_every=1",
    )
    plan = plan_of(tmp_path / "run", *overrides)
    sizes = [[max(style.picture.shape) for style in stage.styles] for stage in plan.stages]
    assert sizes == [[48, 48], [96, 96]]
    directory = run(plan)
    saved = sorted((directory / "images").iterdir())
    shapes = [read_picture(path).pixels.shape for path in saved]
    assert shapes == [(36, 48, 3)] * 2 + [(72, 96, 3)] * 2
    memory = (read_manifest(directory) or {})["memory"]
    assert [stage["mode"] for stage in memory["coarser"]] == ["full"]
