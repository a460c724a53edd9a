"""What ``session.precision`` comes to, and who is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nst_graph.builders import choose_builder
from nst_graph.config import SessionSettings
from nst_graph.errors import ConfigError
from nst_graph.jobs import make_job
from nst_graph.precision import BFLOAT16_FLAGS, cpu_flags, resolve_precision
from nst_graph.problem import build_step

pytestmark = pytest.mark.tensorflow

JOB: dict[str, Any] = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "output": "x",
}


def test_exact_is_the_default_and_the_reference() -> None:
    settings = SessionSettings(device="cpu")
    assert settings.precision == "exact"
    assert choose_builder(settings) is build_step
    precision = resolve_precision(settings)
    assert (precision.exact, precision.dtype, precision.notice) == (True, "float32", "")


def test_fast_is_bfloat16_only_where_the_cpu_has_it() -> None:
    settings = SessionSettings(device="cpu", precision="fast")
    precision = resolve_precision(settings)
    assert not precision.exact
    assert choose_builder(settings) is not build_step
    if BFLOAT16_FLAGS & cpu_flags():
        assert (precision.dtype, precision.notice) == ("bfloat16", "")
    else:
        assert precision.dtype == "float32"
        assert "float32" in precision.notice


def test_flags_of_a_cpu(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16 sse\nflags\t\t: other\n")
    assert cpu_flags(cpuinfo) == {"fpu", "amx_bf16", "sse"}
    assert cpu_flags(tmp_path / "missing") == frozenset()


@pytest.mark.parametrize("engine", ["eager", "function"])
def test_fast_is_for_the_graph_engine(engine: str) -> None:
    with pytest.raises(ConfigError, match="engine: graph"):
        make_job({**JOB, "engine": engine, "session": {"precision": "fast"}})


def test_a_fast_run_says_what_it_computed_in(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        "recipe: coursera\ncontent: embedded:landscape\nstyle: embedded:painting\nsize: 48\n"
        "content_layers: {relu1_2: 1}\nstyle_layers: {relu1_1: 1}\noutput: run\n"
        "optimizer: {steps: 2}\nsession: {precision: fast, device: cpu}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "nst_graph.cli", "run", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    precision = resolve_precision(SessionSettings(device="cpu", precision="fast"))
    assert manifest["environment"]["dtype"] == precision.dtype
    assert precision.notice in done.stderr
    assert precision.notice in (tmp_path / "run" / "run.log").read_text(encoding="utf-8")
