from __future__ import annotations

from pathlib import Path

import pytest

from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.jobfile import MAX_CHAIN
from nst_graph.jobs import InvalidJobError, load_job
from nst_graph.plan import plan_file

BASE = """\
recipe: coursera
content: embedded:landscape
style: embedded:painting
output: runs/of-the-base
size: 64
losses: {style_weight: 7}
style_layers: {relu1_1: 1, relu2_1: 1}
optimizer: {steps: 5}
log: {losses_every: 2, tensorboard: true}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_settings_lie_over_those_of_the_file_extended(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "base.yaml", BASE)
    write(tmp_path / "shared" / "middle.yaml", "extends: base.yaml\nsize: 48\n")
    path = write(
        tmp_path / "job.yaml",
        "extends: shared/middle.yaml\nlosses: {content_weight: 3}\nstyle_layers: {relu3_1: 1}\n",
    )
    job = load_job(path, ["optimizer.steps=9"]).job
    assert (job.size, job.optimizer.budget) == (48, 9)
    assert (job.losses.content_weight, job.losses.style_weight) == (3.0, 7.0)
    assert job.style_layers == {"relu3_1": 1.0}
    assert job.output == "runs/job"


def test_another_optimizer_leaves_the_settings_of_the_one_below(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", BASE)
    path = write(tmp_path / "job.yaml", "extends: base.yaml\noptimizer: {name: lbfgs}\n")
    job = load_job(path).job
    assert job.optimizer.name == "lbfgs"
    assert (job.log.losses_every, job.log.tensorboard) == (1, True)


def test_another_kind_of_first_image_leaves_what_the_one_below_starts_from(tmp_path: Path) -> None:
    start = "initial_image: {kind: run, run: runs/cat, seed: 5}\n"
    write(tmp_path / "base.yaml", BASE + start)
    path = write(tmp_path / "job.yaml", "extends: base.yaml\ninitial_image: {kind: content}\n")
    found = load_job(path).job.initial_image
    assert (found.kind, found.run, found.seed) == ("content", None, 5)
    changes = ["initial_image.kind=picture", "initial_image.picture=a.png"]
    found = load_job(tmp_path / "base.yaml", changes).job.initial_image
    assert (found.kind, found.run, found.picture) == ("picture", None, "a.png")
    again = load_job(tmp_path / "base.yaml", ["initial_image.kind=run"]).job.initial_image
    assert again.run == "runs/cat"


def test_faults_stand_in_the_file_that_holds_the_value(tmp_path: Path) -> None:
    base = write(tmp_path / "base.yaml", BASE.replace("steps: 5", "stepz: 5"))
    path = write(tmp_path / "job.yaml", "extends: base.yaml\nlosses: {style: kera}\nsize: 3\n")
    with pytest.raises(InvalidJobError) as caught:
        load_job(path)
    assert [problem.where for problem in caught.value.problems] == [
        f"{base}:8:13: optimizer.stepz",
        f"{path}:2:10: losses.style",
        f"{path}:3:1: size",
    ]


def test_a_file_that_extends_itself_is_shown_the_way(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", "extends: b.yaml\n")
    second = write(tmp_path / "b.yaml", "\nextends: ./a.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load_job(first)
    assert caught.value.where == f"{second}:2:1: extends"
    assert f"{first} -> {second} -> " in caught.value.what


def test_a_long_chain_is_refused(tmp_path: Path) -> None:
    for number in range(MAX_CHAIN + 1):
        write(tmp_path / f"{number}.yaml", f"extends: {number + 1}.yaml\n")
    with pytest.raises(ConfigError, match=f"more than {MAX_CHAIN} files"):
        load_job(tmp_path / "0.yaml")


@pytest.mark.parametrize(
    ("value", "words"),
    [("absent.yaml", "absent.yaml"), ("[a, b]", "no file name"), ("''", "no file name")],
)
def test_what_cannot_be_extended(tmp_path: Path, value: str, words: str) -> None:
    path = write(tmp_path / "job.yaml", f"recipe: coursera\nextends: {value}\n")
    with pytest.raises(ConfigError, match=words) as caught:
        load_job(path)
    assert caught.value.where == f"{path}:2:1: extends"


def test_a_fault_of_yaml_stands_in_its_own_file(tmp_path: Path) -> None:
    base = write(tmp_path / "base.yaml", "size: 3\nsize: 4\n")
    path = write(tmp_path / "job.yaml", "extends: base.yaml\n")
    with pytest.raises(ConfigError, match="second time") as caught:
        load_job(path)
    assert caught.value.where == f"{base}:2:1"


def test_faults_of_keys_and_of_files_are_told_together(tmp_path: Path) -> None:
    path = write(
        tmp_path / "job.yaml",
        "recipe: coursra\ncontent: absent.png\nstyle: embedded:paintng\nsiz: 3\n"
        "weights: {path: absent.mat}\n",
    )
    with pytest.raises(NstGraphError) as caught:
        plan_file(path)
    text = str(caught.value)
    for place in ("1:1: recipe", "2:1: content", "3:1: style", "4:1: siz", "5:11: weights.path"):
        assert f"{path}:{place}" in text
    for remedy in ("'coursera'", "'embedded:painting'", "'size'"):
        assert f"did you mean {remedy}" in text


@pytest.mark.parametrize("value", [r'"a\0b"', r'"\ud800"', "a" * 300])
def test_names_that_no_file_can_have(tmp_path: Path, value: str) -> None:
    path = write(tmp_path / "job.yaml", BASE.replace("runs/of-the-base", value))
    with pytest.raises(InvalidJobError) as caught:
        plan_file(path)
    assert caught.value.problems[0].where == f"{path}:4:1: output"
