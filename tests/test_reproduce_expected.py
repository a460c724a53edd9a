"""The published numbers in the package: complete, consistent, and those of the source."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nst_graph.errors import ConfigError
from nst_graph.recipes import RECIPES
from nst_graph.reproduce.expected import GROUPS, Target, expected, find_targets, targets

TARGETS = tuple(targets().values())
TRACED = tuple(target for target in TARGETS if target.trace is not None)


@pytest.fixture(scope="module")
def published(reference: Path) -> dict[str, Any]:
    return json.loads((reference / "published.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_rows_are_named_once_and_need_only_what_the_target_has(target: Target) -> None:
    for group in target.groups:
        names = [row.name for row in target.rows_of(group)]
        assert len(set(names)) == len(names)
    for row in target.rows:
        assert row.group in GROUPS
        assert row.rtol > 0
        assert row.source
        assert np.all(np.isfinite(row.value))
        assert set(row.needs) <= {"weights", *target.pictures}


def test_all_is_every_target() -> None:
    names = ["coursera", "coursera-tf2", "keras-io", "keras-lbfgs"]
    assert [target.name for target in find_targets("all")] == names


def test_an_unknown_target_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'coursera'"):
        find_targets("cousera")


@pytest.mark.parametrize("target", TRACED, ids=lambda target: target.name)
def test_other_published_runs_are_within_the_tolerances(target: Target) -> None:
    assert target.trace is not None
    assert target.trace.other_runs
    for run in target.trace.other_runs:
        for term, values in run.items():
            for iteration, value in zip(target.trace.iterations, values, strict=True):
                row = expected(target.name, f"{term}@{iteration}")
                assert value == pytest.approx(float(row.value), rel=row.rtol)


def test_traces_of_known_mistakes_are_not_within_the_tolerances() -> None:
    trace = targets()["coursera"].trace
    assert trace is not None
    for known in trace.known_causes:
        for term, values in known.terms.items():
            row = expected("coursera", f"{term}@0")
            assert values[0] != pytest.approx(float(row.value), rel=10 * row.rtol)


@pytest.mark.parametrize("target", TRACED, ids=lambda target: target.name)
def test_traces_run_a_recipe_of_the_package(target: Target) -> None:
    assert target.trace is not None
    assert target.trace.job["recipe"] in RECIPES


def test_pictures_are_known_by_the_digests_of_the_reference(reference: Path) -> None:
    known = {p.name: p.sha256 for target in TARGETS for p in target.pictures.values()}
    for path in reference.rglob("*.[jp][pn]g"):
        assert known.pop(path.name) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not known


def test_graded_values_are_those_of_the_reference(published: dict[str, Any]) -> None:
    cells = published["coursera_tf1"]["graded_cells"]
    for name in ("J_content", "gram", "J_style_layer", "J_total"):
        np.testing.assert_array_equal(expected("coursera", name).value, cells[name])
    newer = published["coursera_tf2"]
    gram, style = expected("coursera-tf2", "gram"), expected("coursera-tf2", "J_style_layer")
    assert gram.tf32 is not None
    assert style.tf32 is not None
    np.testing.assert_array_equal(gram.value, newer["gram_fp32"])
    np.testing.assert_array_equal(gram.tf32[0], newer["gram_row0_tf32_gpu"])
    assert float(style.value) == newer["style_layer_fp32"]
    assert float(style.tf32) == newer["style_layer_tf32_gpu"]
    assert float(expected("coursera-tf2", "J_content").value) == newer["content"]
    assert float(expected("coursera-tf2", "J_total").value) == newer["total_seed1"]


def test_activations_are_those_of_the_reference(published: dict[str, Any]) -> None:
    corners = published["coursera_tf2"]["activations_louvre_400x400"]
    assert len(corners) == 6
    for name, entry in corners.items():
        layer = name.replace("block", "relu").replace("_conv", "_")
        row = expected("coursera-tf2", f"corner/{layer}")
        np.testing.assert_array_equal(row.value, np.array(entry["corner"]).reshape(-1))


def test_traces_are_those_of_the_reference(published: dict[str, Any]) -> None:
    assignment = published["coursera_tf1"]
    runs = {
        "coursera": assignment["official_run"],
        "keras-io": {"total": published["keras_io_sgd"]["runs"]["keras.io page, TF2"]},
        "keras-lbfgs": {
            "total": published["keras_lbfgs_maxfun20"]["portrait+popova, tf.compat.v1"]
        },
    }
    for name, terms in runs.items():
        trace = targets()[name].trace
        assert trace is not None
        for term, values in terms.items():
            found = [float(expected(name, f"{term}@{i}").value) for i in trace.iterations]
            assert found == values
    for iteration, rtol in assignment["tolerance_total_rtol"].items():
        assert expected("coursera", f"total@{iteration}").rtol == rtol
    for iteration, rtol in assignment["tolerance_content_rtol"].items():
        assert expected("coursera", f"content@{iteration}").rtol == rtol
