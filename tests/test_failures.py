"""Runs that fail, or are ended, late: what is kept, and what is said."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from smallruns import small_job

from nst_graph.artifacts import RunDirectory, read_manifest
from nst_graph.errors import CapacityError, DeviceError
from nst_graph.failures import told_failures
from nst_graph.jobs import make_job
from nst_graph.pipeline import run
from nst_graph.plan import Plan, make_plan
from nst_graph.types import Step

pytestmark = pytest.mark.tensorflow


def plan_of(folder: Path, *overrides: str) -> Plan:
    return make_plan(make_job(small_job(folder), overrides))


def status_of(directory: Path) -> object:
    return (read_manifest(directory) or {})["status"]


def log_of(directory: Path) -> str:
    return (directory / "run.log").read_text(encoding="utf-8")


def run_out_of_memory(step: Step) -> None:
    if step.iteration == 2:
        tf.zeros([1 << 30, 1 << 30])


def test_out_of_memory_is_told_and_what_there_is_is_kept(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "checkpoint.every=2", "log.losses_every=1")
    with pytest.raises(CapacityError) as caught:
        run(plan, run_out_of_memory)
    assert "OOM when allocating" in caught.value.what
    assert "\n" not in caught.value.what
    assert "session.memory=low" in caught.value.remedy
    assert "size=N" in caught.value.remedy
    assert status_of(plan.output) == "failed"
    assert (plan.output / "result.png").is_file()
    run(plan, resume=True)
    assert status_of(plan.output) == "finished"


def test_other_failures_of_tensorflow_are_told_by_their_first_line(tmp_path: Path) -> None:
    def fail(step: Step) -> None:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(tf.linalg.inv([[0.0, 0.0], [0.0, 0.0]]))

    with pytest.raises(DeviceError) as caught:
        run(plan_of(tmp_path), fail)
    assert caught.value.what == "TensorFlow failed: Input is not invertible."


def test_a_job_is_told_only_what_it_may_change() -> None:
    def remedy(*overrides: str) -> str:
        job = plan_of(Path("unused"), *overrides).job
        with pytest.raises(CapacityError) as caught, told_failures(job):
            raise MemoryError
        return caught.value.remedy

    assert "session.memory=tiled" in remedy()
    assert "session" not in remedy("engine=eager")
    assert "session" not in remedy("session.memory=tiled")
    assert "tiled" not in remedy("session.precision=fast")


def test_ctrl_c_while_the_results_are_written_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunDirectory.save_result

    def interrupted_write(*arguments: Any) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments)

    monkeypatch.setattr(RunDirectory, "save_result", interrupted_write)
    plan = plan_of(tmp_path, "log={image_every: 2, animation: gif}")
    assert run(plan).picture.is_file()
    assert status_of(plan.output) == "finished"
    assert "no animation: interrupted by SIGINT" in log_of(plan.output)


def test_a_failed_animation_is_a_notice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def damage(step: Step) -> None:
        for image in (plan.output / "images").glob("*"):
            image.write_bytes(b"damaged")

    plan = plan_of(tmp_path, "log={image_every: 2, animation: gif}")
    run(plan, damage)
    assert status_of(plan.output) == "finished"
    assert "no animation: " in log_of(plan.output)
    assert "without its animation" in caplog.text
