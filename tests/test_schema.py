"""The JSON Schema accepts what validation accepts, and refuses what an editor can see is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nst_graph.config import Job
from nst_graph.jobs import DEMO, make_job, to_yaml
from nst_graph.recipes import RECIPES
from nst_graph.schema import job_file_schema
from nst_graph.yamlfile import parse_yaml, read_yaml

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
JOB = "recipe: coursera\ncontent: a.png\nstyle: b.png\n"

VALIDATOR = jsonschema.Draft202012Validator(job_file_schema())


def faults(data: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(data)]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(job_file_schema())


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "nst_graph.cli", "schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == job_file_schema()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_are_valid(path: Path) -> None:
    assert faults(read_yaml(path).data) == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_shown_jobs_are_valid(recipe: str) -> None:
    shown = to_yaml(make_job({"recipe": recipe, "content": "a", "style": "b", "output": "c"}).job)
    assert faults(yaml.safe_load(shown)) == []


@pytest.mark.parametrize(
    "extra",
    [
        "optimizer: {steps: 1}",
        "optimizer: {name: lbfgs, memory: 3}",
        "size: [300, null]",
        "style_size: content",
        "color: {match: histogram}",
        "initial_image: {kind: run, run: runs/a}",
        "sweep: {style: [a.png, [a.png, {picture: b.png}]], style_scale: [1, 2.5]}",
        "style_layers: {block1_conv1: 1e-1, conv2_1: 2}",
        "jobs: [{content: c.png, name: '{index}'}, {optimizer: {name: sgd}}]",
        "sweep: {content: '*.png', optimizer.steps: [1, 2], style_layers.conv1_1: [1]}",
        "sweep: {optimizer: [{name: adam}], zip: {size: [48, 64], losses.style: [keras, keras]}}",
        "sweep: {zip: [{size: [48]}, {engine: [eager]}]}\nname: '{size}'",
    ],
)
def test_what_is_right(extra: str) -> None:
    assert faults(parse_yaml(f"{JOB}{extra}", "x").data) == []


@pytest.mark.parametrize(
    "extra",
    [
        "sizes: 3",
        "size: 3",
        "size: [300]",
        "style_scale: 0",
        "optimizer: {name: adm}",
        "optimizer: {name: adam, segments: 3}",
        "losses: {style_weight: -1}",
        "losses: {style: courser}",
        "style_layers: {conv9_1: 1}",
        "engine: eagr",
        "extends: 3",
        "jobs: []",
        "jobs: [{output: x}]",
        "sweep: {output: [x]}",
        "sweep: {optimizer.stepz: [1]}",
        "sweep: {optimizer.steps: 3}",
        "sweep: {optimizer.steps: [0]}",
        "sweep: {zip: {size: 48}}",
    ],
)
def test_what_is_wrong(extra: str) -> None:
    assert faults(parse_yaml(f"{JOB}{extra}", "x").data)


@pytest.mark.parametrize(
    ("style", "right"),
    [
        ("b.png", True),
        ("[a.png, {picture: b.png, weight: 2, mask: m.png, size: [48, null]}]", True),
        ("[]", False),
        ("{picture: b.png}", False),
        ("[{weight: 2}]", False),
        ("[{picture: b.png, weigth: 2}]", False),
    ],
)
def test_both_forms_of_style(style: str, right: bool) -> None:
    found = faults(parse_yaml(f"recipe: coursera\ncontent: a.png\nstyle: {style}", "x").data)
    assert (found == []) is right


def test_what_a_file_has_to_say() -> None:
    assert faults(dict(DEMO)) == []
    assert faults({"recipe": "coursera", "content": "a"})
    assert faults({"recipe": "corsera", "content": "a", "style": "b"})
    assert faults({"extends": "other.yaml"}) == []
    assert faults({"recipe": "coursera", "style": "b", "sweep": {"content": "*.png"}}) == []


def test_it_has_every_key() -> None:
    assert set(Job.model_fields) | {"extends", "jobs", "sweep", "name"} == set(
        job_file_schema()["properties"]
    )
