"""Batches that run: skipping, sharing, failing, dying, being interrupted; all at 48 pixels."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from profiles import rgb_profile

from nst_graph.batch import (
    BatchReport,
    Outcome,
    PlannedBatch,
    Progress,
    RunnerOptions,
    RunState,
    Started,
    check_states,
    load_batch,
    make_runner,
    plan_batch,
    run_batch,
    state_of,
)
from nst_graph.batch.pool import cores
from nst_graph.batch.summary import write_summary
from nst_graph.contact_sheet import STAMP_SIDE, contact_sheet, stamp
from nst_graph.errors import NstGraphError
from nst_graph.estimate import estimate
from nst_graph.images import read_picture, write_picture
from nst_graph.jobs import make_job
from nst_graph.machine import available_memory_mb
from nst_graph.plan import make_plan

TINY = """\
recipe: coursera
size: 48
weights: {source: random}
content_layers: {relu2_1: 1}
style_layers: {relu1_1: 1}
optimizer: {steps: 2}
log: {image_every: 0, losses_every: 1}
"""
TWO_BY_TWO = TINY + (
    "name: '{content.stem}-{style.stem}-{optimizer.name}'\n"
    "content: embedded:landscape\n"
    "sweep:\n"
    "  optimizer: [{name: adam, steps: 2}, {name: lbfgs, segments: 1, evaluations: 2}]\n"
    "  style: [embedded:painting, embedded:landscape]\n"
)
PAIR = TINY + "content: embedded:landscape\nstyle: embedded:painting\n"

tensorflow = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(text: str, *overrides: str) -> PlannedBatch:
    Path("all.yaml").write_text(text, encoding="utf-8")
    return plan_batch(load_batch(Path("all.yaml"), overrides))


def run_it(batch: PlannedBatch, **options: Any) -> BatchReport:
    return run_batch(batch, check_states(batch, overwrite=False), **options)


def statuses(report: BatchReport) -> list[str]:
    return [outcome.status for outcome in report.outcomes]


def nst(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nst_graph.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pictures(batch: PlannedBatch) -> dict[str, bytes]:
    return {
        job.name: read_picture(job.plan.output / "result.png").pixels.tobytes()
        for job in batch.jobs
    }


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def truncated_picture(path: Path) -> None:
    """A picture whose header is sound, so that it is found out only when it is read."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_picture(path, noise)
    path.write_bytes(path.read_bytes()[:4000])


@tensorflow
def test_a_batch_runs_once_and_shares_what_it_can(here: Path) -> None:
    from nst_graph import pipeline
    from nst_graph.batch.work import Shelf

    batch = planned(TWO_BY_TWO)
    events: list[object] = []
    report = run_it(batch, watch=events.append)
    assert statuses(report) == ["finished"] * 4
    assert not report.interrupted

    order = [event.index for event in events if isinstance(event, Started)]
    assert order == [0, 2, 1, 3], "jobs of one style follow one another"
    assert {event.index for event in events if isinstance(event, Progress)} == set(range(4))

    rows = table(report.summary)
    assert [row["name"] for row in rows] == [job.name for job in batch.jobs]
    assert [row["status"] for row in rows] == ["finished"] * 4
    assert float(rows[0]["total"]) == report.outcomes[0].losses["total"]
    assert report.contact_sheet is not None
    assert read_picture(report.contact_sheet).pixels.shape[1] > 2 * STAMP_SIDE

    # Alone, with nothing to share, a job gives the same bits.
    alone = planned(TWO_BY_TWO, "output=alone")
    result = pipeline.run(alone.jobs[2].plan)
    assert read_picture(result.picture).pixels.tobytes() == pictures(batch)[batch.jobs[2].name]
    shelf = Shelf()
    shelf.put(alone.jobs[2].plan, result.reusable)
    shared = shelf.get(alone.jobs[0].plan)
    assert shared.weights is result.reusable.weights
    assert shared.style is result.reusable.style
    other = shelf.get(alone.jobs[1].plan)
    assert (other.weights, other.style) == (None, None)

    again = run_it(planned(TWO_BY_TWO))
    assert statuses(again) == ["skipped"] * 4
    assert [outcome.losses for outcome in again.outcomes] == [
        outcome.losses for outcome in report.outcomes
    ]


def test_stamps_are_in_srgb(here: Path) -> None:
    batch = planned(TWO_BY_TWO)
    pixels = np.full((192, 192, 3), (200, 60, 60), np.uint8)
    write_picture("wide.png", pixels, icc_profile=rgb_profile())
    outcomes = [Outcome(0, "finished", picture=Path("wide.png"))]
    outcomes += [Outcome(index, "failed") for index in range(1, len(batch.jobs))]
    _, sheet = write_summary(batch, outcomes)
    assert sheet is not None
    converted = read_picture("wide.png").in_srgb[0, 0]
    assert np.abs(converted.astype(int) - pixels[0, 0]).max() > 10
    np.testing.assert_array_equal(read_picture(sheet).pixels[60, 60], converted)


@tensorflow
def test_states_of_directories(here: Path) -> None:
    Path("pictures").mkdir()
    picture = Path("pictures/a.png")
    write_picture(picture, np.full((48, 48, 3), 90, np.uint8))
    text = TINY + "content: pictures/a.png\nstyle: embedded:painting\nsweep: {weights.seed: [1]}\n"
    batch = planned(text)
    plan = batch.jobs[0].plan
    assert state_of(plan) is RunState.NEW
    assert statuses(run_it(batch)) == ["finished"]
    assert state_of(plan) is RunState.FINISHED

    write_picture(picture, np.full((48, 48, 3), 91, np.uint8))
    assert state_of(plan) is RunState.OTHER
    with pytest.raises(NstGraphError, match="with other pictures"):
        check_states(batch, overwrite=False)
    assert check_states(batch, overwrite=True) == [RunState.OTHER]

    write_picture(picture, np.full((48, 48, 3), 90, np.uint8))
    manifest = plan.output / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**facts, "status": "running"}), encoding="utf-8")
    assert state_of(plan) is RunState.UNFINISHED
    manifest.write_text("{", encoding="utf-8")
    assert state_of(plan) is RunState.OTHER
    manifest.write_text(json.dumps({**facts, "status": "running"}), encoding="utf-8")
    assert statuses(run_it(batch)) == ["finished"]
    assert not plan.output.with_name(f"{plan.output.name}.previous").exists()

    other = planned(text, "optimizer.steps=3")
    with pytest.raises(NstGraphError, match="another job"):
        check_states(other, overwrite=False)


@tensorflow
def test_a_failed_job_stops_the_others_only_if_asked_to(here: Path) -> None:
    truncated_picture(Path("bad.png"))
    text = PAIR + "jobs: [{content: bad.png, name: bad}, {name: good}]\n"
    first = nst("run", "all.yaml") if planned(text) else None
    assert first is not None
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    assert "failed: bad: bad.png: the picture is truncated" in first.stdout
    assert "2 jobs: 1 finished, 1 failed" in first.stdout
    rows = table(Path("runs/all/summary.csv"))
    assert [row["status"] for row in rows] == ["failed", "finished"]
    assert "truncated" in rows[0]["error"]

    fast = run_it(planned(text, "output=fast"), fail_fast=True)
    assert statuses(fast) == ["failed", "not started"]
    assert fast.contact_sheet is None


@tensorflow
def test_an_interrupted_batch_keeps_what_it_has(here: Path) -> None:
    batch = planned(PAIR + "sweep: {weights.seed: [1, 2, 3]}\n")

    def interrupt_the_second(event: object) -> None:
        if isinstance(event, Progress) and event.index == 1:
            raise KeyboardInterrupt

    report = run_it(batch, watch=interrupt_the_second)
    assert report.interrupted
    assert statuses(report) == ["finished", "interrupted", "not started"]
    assert report.summary.is_file()
    assert check_states(batch, overwrite=False) == [
        RunState.FINISHED,
        RunState.UNFINISHED,
        RunState.NEW,
    ]


@tensorflow
def test_a_worker_that_is_killed_is_one_failed_job(here: Path) -> None:
    batch = planned(PAIR + "sweep: {optimizer.steps: [1000000, 2, 3]}\n")
    killed: list[int] = []

    def kill_the_last_worker(event: object) -> None:
        if isinstance(event, Outcome):
            done.append(event.index)
        workers = multiprocessing.active_children()
        if len(done) == 2 and len(workers) == 1 and not killed:
            killed.append(workers[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    done: list[int] = []
    two_workers = make_runner("local", RunnerOptions(workers=2))
    report = run_it(batch, watch=kill_the_last_worker, run_tasks=two_workers)
    assert statuses(report) == ["failed", "finished", "finished"]
    assert "SIGKILL" in report.outcomes[0].error
    assert report.count("failed") == 1
    assert check_states(batch, overwrite=False)[0] is RunState.UNFINISHED
    # The same picture as in this process; the number of threads is only seen after many steps.
    alone = planned(PAIR + "sweep: {optimizer.steps: [2]}\n", "output=alone")
    run_it(alone)
    assert pictures(alone)["2"] == read_picture("runs/all/2/result.png").pixels.tobytes()


@tensorflow
def test_ctrl_c_ends_the_workers_with_their_pictures(here: Path) -> None:
    planned(PAIR + "sweep: {optimizer.steps: [1000000, 999999, 999998]}\n")
    available = available_memory_mb()
    assert available is not None
    command = [sys.executable, "-m", "nst_graph.cli", "run", "all.yaml", "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        running = [Path("runs/all") / name / "metrics.csv" for name in ("1000000", "999999")]
        deadline = time.monotonic() + 120
        while not all(path.is_file() for path in running) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "2 interrupted, 1 not started" in stdout
    for path in running:
        assert path.with_name("result.png").is_file()
        manifest = json.loads(path.with_name("manifest.json").read_text(encoding="utf-8"))
        assert manifest["memory"]["available_mb"] < 0.6 * available  # each has its half
        manifest = json.loads(path.with_name("manifest.json").read_text(encoding="utf-8"))
        assert manifest["status"] == "interrupted"


@tensorflow
@pytest.mark.slow
def test_a_sweep_killed_in_the_middle_is_finished_by_running_it_again(here: Path) -> None:
    text = TINY.replace("size: 48", "size: 96").replace("steps: 2", "steps: 10") + (
        "name: '{content.stem}-{style.stem}-{optimizer.name}-{weights.seed}'\n"
        "sweep:\n"
        "  content: [embedded:landscape, embedded:painting]\n"
        "  zip: {style: [embedded:painting, embedded:landscape, embedded:painting], "
        "weights.seed: [0, 0, 1]}\n"
        "  optimizer: [{name: adam, steps: 10}, {name: lbfgs, segments: 2, evaluations: 4}]\n"
    )
    batch = planned(text)
    command = [sys.executable, "-m", "nst_graph.cli", "run", "all.yaml"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while check_states(batch, overwrite=False).count(RunState.FINISHED) < 4:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    before = check_states(batch, overwrite=False)
    assert 4 <= before.count(RunState.FINISHED) < 12
    report = run_it(batch)
    assert report.count("skipped") == before.count(RunState.FINISHED)
    assert report.count("finished") == 12 - report.count("skipped")
    whole = planned(text, "output=whole")
    assert statuses(run_it(whole)) == ["finished"] * 12
    assert pictures(whole) == pictures(batch)


def test_dry_run_lists_jobs_and_touches_nothing(here: Path) -> None:
    planned(TWO_BY_TWO)
    done = nst("run", "all.yaml", "--dry-run", "--workers", "2")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("landscape-painting-adam")
    assert "48x36  adam, 2 steps  about" in lines[0]
    assert lines[-1].startswith("4 of 4 jobs to run: about")
    assert sorted(path.name for path in here.iterdir()) == ["all.yaml"]


def test_validate_and_show_config_take_batches(here: Path) -> None:
    planned(TWO_BY_TWO)
    done = nst("validate", "all.yaml")
    assert done.returncode == 0
    assert "4 jobs -> runs/all, about" in done.stdout
    shown = nst("show-config", "all.yaml").stdout
    assert shown.count("# sha256") == 4
    second = shown.split("---\n")[1]
    Path("one.yaml").write_text(second, encoding="utf-8")
    assert load_batch(Path("one.yaml")).jobs[0].job == load_batch(Path("all.yaml")).jobs[1].job


def test_memory_grows_with_the_picture_and_time_with_the_steps() -> None:
    settings = {"recipe": "coursera", "content": "embedded:landscape", "output": "x"}
    settings["style"] = "embedded:painting"
    small, large, longer = (
        estimate(make_plan(make_job(settings, overrides)))
        for overrides in (["size=100"], ["size=400"], ["size=400", "optimizer.steps=400"])
    )
    assert large.memory_mb - small.memory_mb > 300
    assert longer.memory_mb == large.memory_mb
    assert longer.operations == 2 * large.operations
    # 174 GFLOP a step at 300 x 400 for the network alone (DESIGN), the Gram matrices beside it.
    assert large.operations / 200 == pytest.approx(180e9, rel=0.06)


def test_stamps_keep_proportions_and_sheets_fill_rows() -> None:
    wide = stamp(np.zeros((30, 60, 3), np.uint8))
    assert wide.shape == (STAMP_SIDE, STAMP_SIDE, 3)
    dark = np.flatnonzero((wide == 0).all(axis=(1, 2)))
    assert len(dark) == STAMP_SIDE // 2
    assert (wide[0] == 255).all()
    stamps = [(str(number), wide) for number in range(5)]
    assert contact_sheet(stamps, 1).shape[0] > 5 * STAMP_SIDE
    two, three = contact_sheet(stamps, 2), contact_sheet(stamps)
    assert two.shape[1] < three.shape[1]
    assert two.shape[0] > 3 * STAMP_SIDE > three.shape[0] > 2 * STAMP_SIDE


def test_cores_are_those_of_the_process() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
