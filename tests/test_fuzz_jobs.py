"""Malformed job files: whatever stands in them, `nst-graph validate` answers with 0 or 2."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
import typer
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nst_graph.cli import checking
from nst_graph.layers import ACTIVATIONS

CONFIGS = Path(__file__).resolve().parents[1] / "configs"

BATCH = """\
recipe: coursera
output: runs/all
size: 48
name: "{content.stem}-{optimizer.name}-{index:02d}"
jobs:
  - {content: embedded:landscape, style: embedded:painting}
  - {content: embedded:painting, style: embedded:landscape, name: 'other-{index}'}
sweep:
  optimizer:
    - {name: adam, steps: 3}
    - {name: lbfgs, segments: 1}
  zip:
    losses.content_weight: [1, 2]
    losses.style_weight: [1e1, 2e1]
"""


def _shortened(path: Path) -> str:
    """A job file without its comments, with pictures that are always there."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line.split("  #")[0].rstrip() for line in lines]
    text = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return re.sub(r"images/\S+", "embedded:landscape", text)


VALID = [
    BATCH,
    *(_shortened(CONFIGS / name) for name in ("demo.yaml", "keras_io.yaml", "regions.yaml")),
]

#: What breaks YAML, numbers, paths and templates.
FRAGMENTS = [
    *(":", "- ", "? ", "[", "]", "{", "}", "\t", "\n", "  ", "'", '"', "#", "&a ", "*a", "<<: *a"),
    *("!!python/object:os.system ", "!!binary ", "%YAML 9", "---\n", "...\n", "|\n", "null", "~"),
    *(".nan", "-.inf", "1e999", "0x" + "f" * 5000, "9" * 5000, "1:30:00", "2026-13-45", "yes"),
    *('"\\0"', '"\\ud800"', "a" * 300, "/" * 5000, "../..", "embedded:", "embedded:nothing"),
    *("{", "{0}", "{content.__class__}", "{index:999999x}", "{index!r}", "\ufeff", "\x00", "\x85"),
    *("jobs: []", "jobs: 3", "sweep: {}", "sweep: {zip: 1}", "sweep: {size: [1]}", "name: .."),
    *("extends: job.yaml", "extends: [1]", "extends: nowhere.yaml", "size: 15", "engine: eagr"),
]

KEYS = [
    *("recipe", "content", "style", "output", "size", "style_size", "resize_method", "weights"),
    *("network", "content_layers", "style_layers", "losses", "initial_image", "optimizer", "log"),
    *(
        "style_scale",
        "color",
        "mask",
        "run",
        "engine",
        "picture",
        "session",
        "extends",
        "jobs",
        "sweep",
        "name",
        "zip",
        "path",
        "steps",
    ),
    *("optimizer.steps", "losses.style_weight", "optimizer.", "kind", "seed", ACTIVATIONS[3]),
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.binary(max_size=8),
    st.sampled_from(["embedded:landscape", "adam", "lbfgs", "content", "{index}", "*.png", *"./"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.integers() | st.sampled_from(KEYS), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def validate(path: Path) -> tuple[int, str]:
    """Exit code and standard error of `nst-graph validate PATH`, without the parsing of options."""
    error, code = io.StringIO(), 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        try:
            checking.validate([path])
        except typer.Exit as ended:
            code = ended.exit_code
    return code, error.getvalue()


def assert_answered(folder: Path, data: bytes) -> int:
    path = folder / "job.yaml"
    path.write_bytes(data)
    code, error = validate(path)
    assert code in (0, 2)
    assert "Traceback" not in error
    if code == 2:
        assert error.startswith("error: ")
        assert str(path) in error
    return int(code == 2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


many = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


@st.composite
def damaged_files(draw: st.DrawFn) -> str:
    """A valid file after some edits: cut, doubled, moved or with a fragment put in."""
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        instead = draw(
            st.sampled_from([*FRAGMENTS, text[start:end] * 2, text[start:end][::-1]])
            | st.text(max_size=6)
        )
        text = text[:start] + instead + text[end:]
    return text


@settings(many, max_examples=1100)
@given(text=damaged_files())
def test_damaged_job_files(folder: Path, text: str) -> None:
    assert_answered(folder, text.encode("utf-8", "surrogatepass"))


@settings(many, max_examples=250)
@given(
    base=st.sampled_from(VALID),
    changes=st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), values, min_size=1),
)
def test_values_of_any_kind_in_any_place(
    folder: Path, base: str, changes: dict[str, object]
) -> None:
    data = {**yaml.safe_load(base), **changes}
    assert_answered(folder, yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace"))


@settings(many, max_examples=100)
@given(data=st.binary(max_size=200))
@example(b"")
@example(b"\xff\xfe" + "recipe: coursera".encode("utf-16-le"))
@example(b"[" * 5000)
@example(b"a: &a {b: *a}\nrecipe: *a\n")
@example(b"recipe: coursera\nstyle: &a [*a]\ncontent: *a\n")
def test_bytes_that_are_no_job(folder: Path, data: bytes) -> None:
    assert assert_answered(folder, data) == 1


def test_aliases_of_aliases_do_not_fill_the_memory(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert assert_answered(folder, "\n".join(lines).encode()) == 1
    merges = ["a0: &a0 {x: 1}"]
    merges += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    assert assert_answered(folder, "\n".join(merges).encode()) == 1


def test_the_files_that_are_damaged_are_valid(folder: Path) -> None:
    for text in VALID:
        assert assert_answered(folder, text.encode()) == 0
