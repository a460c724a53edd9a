"""From batch files to jobs: lists, grids, patterns, names, collisions. No TensorFlow."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nst_graph.batch import Batch, load_batch, plan_batch
from nst_graph.batch.checks import plan_files
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.images import write_picture
from nst_graph.jobs import InvalidJobError, load_job

COMMON = "recipe: coursera\nsize: 48\n"
PICTURES = "content: embedded:landscape\nstyle: embedded:painting\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def batch(text: str, *overrides: str, common: str = COMMON + PICTURES) -> Batch:
    Path("all.yaml").write_text(common + text, encoding="utf-8")
    return load_batch(Path("all.yaml"), overrides)


def names(found: Batch) -> list[str]:
    return [job.name for job in found.jobs]


def problems(text: str, *overrides: str, common: str = COMMON + PICTURES) -> list[NstGraphError]:
    with pytest.raises(InvalidJobError) as caught:
        plan_batch(batch(text, *overrides, common=common))
    assert all(problem.remedy for problem in caught.value.problems)
    return list(caught.value.problems)


def test_a_list_of_jobs_over_common_keys() -> None:
    found = batch(
        "name: '{index:02d}-{style.stem}'\n"
        "jobs:\n"
        "  - {optimizer: {steps: 3}}\n"
        "  - {style: embedded:landscape, losses: {style_weight: 5}, name: special}\n",
        common=COMMON + PICTURES + "losses: {content_weight: 2}\n",
    )
    assert names(found) == ["01-painting", "special"]
    first, second = (job.job for job in found.jobs)
    assert (first.optimizer.budget, second.optimizer.budget) == (3, 200)
    assert (second.losses.content_weight, second.losses.style_weight) == (2.0, 5.0)
    assert (first.output, second.output) == ("runs/all/01-painting", "runs/all/special")


def test_a_grid_over_dotted_keys_and_sections() -> None:
    found = batch(
        "sweep:\n"
        "  losses.style_weight: [1, 2e1]\n"
        "  optimizer: [{name: adam, steps: 3}, {name: lbfgs, segments: 2}]\n"
        "name: '{losses.style_weight:.0f}-{optimizer.name}'\n"
        "output: out\n"
    )
    assert names(found) == ["1-adam", "1-lbfgs", "20-adam", "20-lbfgs"]
    assert [job.job.optimizer.budget for job in found.jobs] == [3, 40, 3, 40]
    assert found.jobs[3].varied["losses.style_weight"] == 20.0
    assert found.columns == 2
    assert str(found.output) == "out"


def test_a_swept_optimizer_leaves_the_other_ones_settings() -> None:
    found = batch("optimizer: {steps: 7}\nsweep: {optimizer.name: [adam, lbfgs, sgd]}\n")
    assert names(found) == ["adam", "lbfgs", "sgd"]
    assert [job.job.optimizer.budget for job in found.jobs] == [7, 200, 4000]
    assert [job.job.log.losses_every for job in found.jobs] == [20, 1, 100]


def test_lists_zipped_and_crossed() -> None:
    found = batch(
        "sweep:\n"
        "  zip: {losses.content_weight: [5, 10], losses.style_weight: [40, 80]}\n"
        "  size: [48, 64]\n"
    )
    weights = [(job.job.losses.content_weight, job.job.losses.style_weight) for job in found.jobs]
    assert weights == [(5, 40), (5, 40), (10, 80), (10, 80)]
    assert names(found) == ["5.0-40.0-48", "5.0-40.0-64", "10.0-80.0-48", "10.0-80.0-64"]


def test_several_zips_are_crossed() -> None:
    found = batch("sweep: {zip: [{size: [48, 64]}, {weights.seed: [1, 2, 3]}]}\n")
    assert len(found.jobs) == 6


def test_patterns_of_pictures() -> None:
    Path("photos").mkdir()
    for name in ("b.png", "a.png", "c[1].png"):
        write_picture(f"photos/{name}", np.zeros((48, 48, 3), np.uint8))
    Path("photos/notes.txt").write_text("no picture", encoding="utf-8")
    found = batch(
        "sweep:\n  content: ['photos/?.png', 'photos/c[1].png']\n",
        common="recipe: coursera\nstyle: embedded:painting\n",
    )
    assert names(found) == ["a", "b", "c-1"]
    plan_batch(found)
    assert len(batch("sweep: {content: photos/*.png}\n", common=COMMON + PICTURES).jobs) == 3
    (nothing,) = problems("sweep: {style: photos/*.jpg}\n")
    assert nothing.where == "all.yaml:5:9: sweep.style"


def test_jobs_and_sweep_multiply() -> None:
    found = batch("jobs: [{size: 48}, {size: 64}]\nsweep: {weights.seed: [1, 2]}\n")
    assert names(found) == ["001-1", "002-2", "003-1", "004-2"]


def test_set_is_for_every_job_and_output_is_the_root() -> None:
    found = batch("sweep: {optimizer.steps: [1, 2]}\n", "output=elsewhere", "size=64")
    assert [job.job.output for job in found.jobs] == ["elsewhere/1", "elsewhere/2"]
    assert {job.job.size for job in found.jobs} == {64}


def test_a_batch_may_extend_and_be_extended() -> None:
    Path("base.yaml").write_text(COMMON + PICTURES + "sweep: {size: [48, 64]}\n", encoding="utf-8")
    Path("all.yaml").write_text(
        "extends: base.yaml\nname: 's{size}'\nengine: eager\n", encoding="utf-8"
    )
    found = load_batch(Path("all.yaml"))
    assert names(found) == ["s48", "s64"]
    assert {job.job.engine for job in found.jobs} == {"eager"}


def test_a_plain_job_is_a_batch_of_one() -> None:
    found = batch("output: runs/one\n")
    assert found.single
    assert found.jobs[0].job == load_job(Path("all.yaml")).job


def test_commands_for_one_job_refuse_a_batch() -> None:
    batch("sweep: {size: [48]}\n")
    with pytest.raises(ConfigError, match="many jobs"):
        load_job(Path("all.yaml"))


def test_every_fault_once_with_its_place() -> None:
    found = problems(
        "engine: eagr\n"
        "jobs:\n"
        "  - {losses: {styl: keras}}\n"
        "  - {content: absent.png}\n"
        "sweep:\n"
        "  optimizer.stepz: [1, 2]\n"
        "  losses.style_weight: [3, -1]\n"
    )
    assert {problem.where for problem in found} == {
        "all.yaml:5:1: engine",
        "all.yaml:7:15: jobs.0.losses.styl",
        "all.yaml:8:6: jobs.1.content",
        "all.yaml:10:21: sweep.optimizer.stepz.0",
        "all.yaml:10:24: sweep.optimizer.stepz.1",
        "all.yaml:11:28: sweep.losses.style_weight.1",
    }
    assert len(found) == 6


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("jobs: 3\n", "5:1: jobs", "no list of jobs"),
        ("jobs: [3]\n", "5:8: jobs.0", "no mapping"),
        ("jobs: [{output: x}]\n", "5:9: jobs.0.output", "cannot stand"),
        ("jobs: [{sweep: {size: [48]}}]\n", "5:9: jobs.0.sweep", "cannot stand"),
        ("sweep: []\n", "5:1: sweep", "no mapping"),
        ("sweep: {output: [x]}\n", "5:9: sweep.output", "cannot be swept"),
        ("sweep: {size: 48}\n", "5:9: sweep.size", "list of values"),
        ("sweep: {size: []}\n", "5:9: sweep.size", "list of values"),
        ("sweep: {optimizer: {steps: [1]}}\n", "5:9: sweep.optimizer", "list of values"),
        ("sweep: {.size: [48]}\n", "5:9: sweep..size", "dotted key"),
        ("sweep: {zip: {size: [48], engine: [graph, eager]}}\n", "5:9: sweep.zip", "one length"),
        ("sweep: {zip: [3]}\n", "5:15: sweep.zip.0", "no mapping"),
        ("name: '{contnt.stem}'\nsweep: {size: [48]}\n", "5:1: name", "contnt.stem"),
        ("name: '{size'\nsweep: {size: [48]}\n", "5:1: name", "template"),
        ("name: '{size:q}'\nsweep: {size: [48]}\n", "5:1: name", "template"),
        ("name: '../{size}'\nsweep: {size: [48]}\n", "5:1: name", "dots only"),
        ("name: /tmp/{size}\nsweep: {size: [48]}\n", "5:1: name", "empty part"),
        ("name: 'x.previous'\nsweep: {size: [48]}\n", "5:1: name", ".previous"),
        ("name: same\nsweep: {size: [48, 64]}\n", "5:1: name", "two jobs"),
        ("name: [a]\nsweep: {size: [48]}\n", "5:1: name", "no name"),
        ("name: a\n", "5:1: name", "unknown key"),
    ],
)
def test_what_is_wrong_with_a_batch(text: str, place: str, words: str) -> None:
    fault = problems(text)[0]
    assert fault.where == f"all.yaml:{place}"
    assert words in fault.what


def test_a_name_inside_anothers_directory_is_refused() -> None:
    (fault,) = problems("jobs: [{name: a}, {name: a/b}]\n")
    assert "'a/b' lies in that of the job 'a'" in fault.what


def test_too_many_jobs_are_refused_before_they_are_made() -> None:
    numbers = list(range(1, 400))
    (fault,) = problems(f"sweep: {{optimizer.steps: {numbers}, weights.seed: {numbers}}}\n")
    assert "159201 jobs" in fault.what


def test_files_that_write_into_one_directory() -> None:
    batch("output: runs/x\n")
    shutil.copy("all.yaml", "copy.yaml")
    Path("inside.yaml").write_text(COMMON + PICTURES + "output: runs/x/y\n", encoding="utf-8")
    first, second, third = plan_files([Path("all.yaml"), Path("copy.yaml"), Path("inside.yaml")])
    assert not isinstance(first, NstGraphError)
    assert isinstance(second, NstGraphError)
    assert second.where == "copy.yaml:5:1: output"
    assert "all.yaml" in second.what
    assert isinstance(third, NstGraphError)


def test_an_output_that_cannot_be_used() -> None:
    Path("out").write_text("a file", encoding="utf-8")
    (fault,) = problems("sweep: {size: [48]}\noutput: out\n")
    assert "is a file" in fault.what


@pytest.mark.parametrize("field", ["index:999999999999d", "index:100000000d", "size:.999999999f"])
def test_a_name_is_not_made_longer_than_a_name_can_be(field: str) -> None:
    (found,) = problems(f"name: '{{{field}}}'\njobs: [{{}}]\n")
    assert "characters" in found.what
    assert "255" in found.remedy


def test_a_format_that_a_value_does_not_take() -> None:
    (found,) = problems("name: '{style_size:3d}'\njobs: [{}]\n")
    assert "no name template" in found.what
