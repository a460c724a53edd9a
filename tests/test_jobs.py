from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from nst_graph import config
from nst_graph.animation import FORMATS
from nst_graph.colors import COLOR_MATCHES
from nst_graph.config import Job
from nst_graph.errors import ConfigError
from nst_graph.images import RESIZE_METHODS
from nst_graph.jobs import DEMO, InvalidJobError, load_job, make_job, to_yaml
from nst_graph.preprocess import INITIAL_IMAGES
from nst_graph.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[1]
CONFIGS, DOCS = ROOT / "configs", ROOT / "docs"
SMALL = {"recipe": "coursera", "content": "embedded:landscape", "style": "embedded:painting"}


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def job_text(extra: str) -> str:
    return f"recipe: coursera\ncontent: c.png\nstyle: s.png\n{extra}"


def test_a_job_takes_the_recipes_values() -> None:
    job = make_job({**SMALL, "output": "runs/x"}).job
    assert job.losses.content_weight == 10.0
    assert job.optimizer == RECIPES["coursera"].optimizer
    assert job.style_layers == RECIPES["coursera"].style_layers


def test_sections_merge_key_by_key_and_layers_are_replaced(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        job_text("losses: {style_weight: 7}\nstyle_layers: {block2_conv1: 1e0}\n"),
    )
    job = load_job(path).job
    assert (job.losses.content_weight, job.losses.style_weight) == (10.0, 7.0)
    assert job.style_layers == {"relu2_1": 1.0}
    assert job.output == "runs/job"


def test_set_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, job_text("optimizer: {steps: 5}\nsize: 64\n"))
    job = load_job(path, ["optimizer.steps=7", "size=[64, 96]", "style_layers.conv1_1=0.5"]).job
    assert job.optimizer.steps == 7
    assert job.size == (64, 96)
    assert job.style_layers == {"relu1_1": 0.5}


@pytest.mark.parametrize("override", ["steps", "=3", "a..b=1", ".a=1", ""])
def test_malformed_set_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        make_job(SMALL, [override])


def test_every_fault_of_a_file_is_told_in_its_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        job_text(
            "optimizer:\n  learning_rat: 1\n  steps: ten\n"
            "size: [3, 4, 5]\nlosses: {style: courser}\n"
            "style_layers: {conv9_1: 1}\nextra: 1\n"
        ),
    )
    with pytest.raises(InvalidJobError) as caught:
        load_job(path)
    wheres = [problem.where for problem in caught.value.problems]
    assert wheres == [
        f"{path}:5:3: optimizer.learning_rat",
        f"{path}:6:3: optimizer.steps",
        f"{path}:7:1: size",
        f"{path}:8:10: losses.style",
        f"{path}:9:1: style_layers",
        f"{path}:10:1: extra",
    ]
    typo, steps, _, style, layers, _ = caught.value.problems
    assert "did you mean 'learning_rate'?" in typo.remedy
    assert "'ten'" in steps.what
    assert "did you mean 'coursera'?" in style.remedy
    assert "did you mean 'conv" in layers.remedy
    assert all(problem.remedy for problem in caught.value.problems)


def test_whole_numbers_may_have_an_exponent(tmp_path: Path) -> None:
    extra = "optimizer: {steps: 1e3, learning_rate: 1e1}\nsize: [3e2, 4e2]\n"
    written = load_job(write(tmp_path, job_text(extra))).job
    plain = "optimizer: {steps: 1000, learning_rate: 10.0}\nsize: [300, 400]\n"
    assert written == load_job(write(tmp_path, job_text(plain))).job
    assert isinstance(written.optimizer.learning_rate, float)
    assert make_job({**SMALL, "output": "x"}, ["optimizer.steps=1e2"]).job.optimizer.steps == 100
    with pytest.raises(ConfigError, match="valid integer"):
        make_job(SMALL, ["optimizer.steps=15e-1"])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("losses: {content_weight: -1}", "greater than or equal to 0"),
        ("losses: {content_weight: .inf}", "finite"),
        ("losses: {content_weight: true}", "valid number"),
        ("optimizer: {steps: 0}", "greater than or equal to 1"),
        ("optimizer: {steps: 1.5}", "valid integer"),
        ("initial_image: {noise_ratio: 1.5}", "less than or equal to 1"),
        ("size: 3", "from 16"),
        ("size: '300'", "whole number"),
        ("style_layers: {}", "at least 1"),
        ("style_layers: {conv1_1: 1, relu1_1: 1}", "twice"),
        ("network: 3", "valid dictionary"),
        ("content: ''", "at least 1"),
    ],
)
def test_values_out_of_range(tmp_path: Path, extra: str, words: str) -> None:
    text = job_text("").replace("content: c.png\n", "") if extra.startswith("content:") else None
    path = write(tmp_path, f"{text or job_text('')}{extra}\n")
    with pytest.raises(ConfigError) as caught:
        load_job(path)
    assert words in str(caught.value)


def test_missing_pictures_and_recipe(tmp_path: Path) -> None:
    with pytest.raises(InvalidJobError) as caught:
        load_job(write(tmp_path, "recipe: coursera\n"))
    assert [problem.where.split(": ")[-1] for problem in caught.value.problems] == [
        "content",
        "style",
    ]
    with pytest.raises(ConfigError, match="no recipe"):
        load_job(write(tmp_path, "content: a\nstyle: b\n"))
    with pytest.raises(InvalidJobError) as unknown:
        load_job(write(tmp_path, "recipe: corsera\n"))
    assert unknown.value.problems[0].where == f"{tmp_path / 'job.yaml'}:1:1: recipe"
    assert "did you mean 'coursera'?" in unknown.value.problems[0].remedy
    assert len(unknown.value.problems) == 3


def test_faults_of_set_name_the_option() -> None:
    with pytest.raises(ConfigError) as caught:
        make_job({**SMALL, "output": "x"}, ["optimizer.stepz=3"])
    assert "--set optimizer.stepz" in str(caught.value)


def test_a_shown_job_is_the_same_job(tmp_path: Path) -> None:
    job = make_job({**SMALL, "output": "runs/x"}, ["size=[64, 80]", "optimizer.epsilon=1e-7"]).job
    shown = load_job(write(tmp_path, to_yaml(job))).job
    assert shown == job
    assert shown.digest == job.digest


def test_the_digest_is_of_what_decides_the_result() -> None:
    job = make_job({**SMALL, "output": "runs/x"}).job
    assert make_job({**SMALL, "output": "runs/y"}).job.digest == job.digest
    assert make_job({**SMALL, "output": "runs/x", "size": 64}).job.digest != job.digest


def test_the_schemas_choices_are_the_tables() -> None:
    assert set(get_args(config.InitialImageKind)) == {*INITIAL_IMAGES, "picture", "run"}
    assert set(get_args(config.ColorMatch)) == {*COLOR_MATCHES, "none"}
    assert set(get_args(config.ResizeMethod)) == set(RESIZE_METHODS)
    assert set(get_args(config.AnimationKind)) == {"none", *FORMATS}


def test_every_key_is_described() -> None:
    def undescribed(model: type[config.Section]) -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            kinds = (field.annotation, *get_args(field.annotation))
            sections = [
                kind
                for kind in kinds
                if isinstance(kind, type) and issubclass(kind, config.Section)
            ]
            missing += [item for section in sections for item in undescribed(section)]
            if not (sections or field.description or name in ("name", "format")):
                missing.append(f"{model.__name__}.{name}")
        return missing

    assert undescribed(Job) == []


def test_every_key_is_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    sections = [Job]
    for section in sections:
        for name, field in section.model_fields.items():
            assert re.search(rf"\b{name}\b", pages), f"{section.__name__}.{name}"
            sections += [inner for inner in sections_in(field.annotation) if inner not in sections]
    assert len(sections) > 10


def sections_in(annotation: object) -> list[type[config.Section]]:
    if isinstance(annotation, type) and issubclass(annotation, config.Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]


def test_the_demo_file_is_the_demo() -> None:
    assert load_job(CONFIGS / "demo.yaml").job == make_job(DEMO).job


def test_the_coursera_file_is_complete_and_says_what_the_recipe_says() -> None:
    loaded = load_job(CONFIGS / "coursera.yaml")
    written = yaml.safe_load((CONFIGS / "coursera.yaml").read_text(encoding="utf-8"))
    shown = yaml.safe_load(to_yaml(loaded.job))
    assert {(k, s) for k in shown if isinstance(shown[k], dict) for s in shown[k]} - {
        ("content_layers", "relu4_2"),
        *(("style_layers", name) for name in loaded.job.style_layers),
    } <= {(k, s) for k in written if isinstance(written[k], dict) for s in written[k]}
    pictures = {"content": loaded.job.content, "style": loaded.job.style}
    assert loaded.job == make_job({**SMALL, **pictures, "output": loaded.job.output}).job
