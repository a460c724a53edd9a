"""Batches on a local Ray cluster: a worker killed, a job at fault, Ctrl-C; all at 48 pixels.

Each job has one thread, as what is compared bit for bit must have equally many everywhere.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nst_graph.artifacts import read_manifest
from nst_graph.batch import (
    BatchReport,
    Outcome,
    PlannedBatch,
    Progress,
    Retried,
    RunnerOptions,
    check_states,
    load_batch,
    make_runner,
    plan_batch,
    run_batch,
)
from nst_graph.batch.pool import cores
from nst_graph.errors import ConfigError, DeviceError
from nst_graph.images import read_picture

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.skipif(  # without importing it: the runner sets what Ray reads at its import
        importlib.util.find_spec("ray") is None,
        reason="Ray is not installed (pip install 'nst_graph[ray]')",
    ),
    pytest.mark.skipif(cores() < 2, reason="one worker is killed while another works"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers are found in /proc"),
]

TINY = """\
recipe: coursera
size: 48
weights: {source: random}
session: {threads: 1}
content_layers: {relu2_1: 1}
style_layers: {relu1_1: 1}
log: {image_every: 0, losses_every: 1}
checkpoint: {every: 20}
content: embedded:landscape
style: embedded:painting
"""

RETRY_ONCE = RunnerOptions(retries=1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(text: str, *overrides: str) -> PlannedBatch:
    Path("all.yaml").write_text(text, encoding="utf-8")
    return plan_batch(load_batch(Path("all.yaml"), overrides))


def run_on_ray(
    batch: PlannedBatch, options: RunnerOptions = RETRY_ONCE, **others: Any
) -> BatchReport:
    states = check_states(batch, overwrite=False)
    return run_batch(batch, states, run_tasks=make_runner("ray", options), **others)


def statuses(report: BatchReport) -> list[str]:
    return [outcome.status for outcome in report.outcomes]


def pictures(batch: PlannedBatch) -> list[bytes]:
    paths = [job.plan.output / "result.png" for job in batch.jobs]
    return [read_picture(path).pixels.tobytes() for path in paths]


def processes_below(ancestor: int) -> Iterator[tuple[int, str]]:
    """Identifiers and titles of the processes that descend from one."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                title = (entry / "cmdline").read_text(encoding="utf-8", errors="replace")
            except OSError:  # it has ended meanwhile
                continue
            parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
            titles[int(entry.name)] = title
    for process in parents:
        above = process
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor != process:
            yield process, titles[process]


def workers_below(ancestor: int) -> list[int]:
    """The processes that carry out a job."""
    return [pid for pid, title in processes_below(ancestor) if title.startswith("ray::carry_out")]


def test_a_killed_worker_is_replaced_and_the_results_are_those_of_a_local_run() -> None:
    text = TINY + "sweep: {optimizer.steps: [300, 301, 3]}\n"
    batch = planned(text)
    events: list[object] = []
    killed: list[int] = []

    def kill_a_worker(event: object) -> None:
        events.append(event)
        checkpoints = [job.plan.output / "checkpoint.npz" for job in batch.jobs[:2]]
        begun = isinstance(event, Progress) and all(path.is_file() for path in checkpoints)
        if begun and not killed:
            killed.append(workers_below(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    report = run_on_ray(batch, watch=kill_a_worker)
    assert statuses(report) == ["finished"] * 3, report.outcomes
    [retried] = [event for event in events if isinstance(event, Retried)]
    assert retried.attempt == 2
    assert "its worker was lost" in retried.cause
    manifest = read_manifest(batch.jobs[retried.index].plan.output)
    assert manifest is not None
    [resumed] = manifest["resumed"]
    assert resumed["iteration"] >= 20, "it goes on from its checkpoint"
    assert sum(isinstance(event, Outcome) for event in events) == 3
    assert not list(processes_below(os.getpid())), "the cluster ends with the batch"

    alone = planned(text, "output=alone")
    run_batch(alone, check_states(alone, overwrite=False))
    assert pictures(batch) == pictures(alone)
    assert statuses(run_on_ray(batch)) == ["skipped"] * 3


def test_faults_of_a_job_are_not_retried_and_those_of_a_worker_not_for_ever() -> None:
    diverging = "{name: bad, optimizer: {steps: 50, learning_rate: 1.0e+38}}"
    endless = "{name: lost, optimizer: {steps: 1000000}}"
    batch = planned(TINY + f"jobs: [{diverging}, {endless}]\n")
    retried: list[Retried] = []
    over: list[Outcome] = []

    def kill_the_other(event: object) -> None:
        if isinstance(event, Retried):
            retried.append(event)
        if isinstance(event, Outcome):
            over.append(event)
        if isinstance(event, Progress) and over and event.index == 1:
            for pid in workers_below(os.getpid()):
                os.kill(pid, signal.SIGKILL)

    report = run_on_ray(batch, watch=kill_the_other)
    assert statuses(report) == ["failed", "failed"]
    assert "is nan at iteration" in report.outcomes[0].error
    assert f"(on {socket.gethostname()})" in report.outcomes[0].error
    assert [(event.index, event.attempt) for event in retried] == [(1, 2)]
    assert "2 times in all" in report.outcomes[1].error


def test_what_the_cluster_does_not_have_is_refused_before_anything_runs(here: Path) -> None:
    batch = planned(TINY + "sweep: {optimizer.steps: [2, 3]}\n", "session.threads=1000")
    with pytest.raises(DeviceError, match="2: needs 1000 CPUs on one node"):
        run_on_ray(batch, RunnerOptions())
    with pytest.raises(ConfigError, match=r"no Ray cluster at 127\.0\.0\.1:9: "):
        run_on_ray(batch, RunnerOptions(address="127.0.0.1:9"))
    assert [path.name for path in here.iterdir()] == ["all.yaml"]


def test_ctrl_c_ends_the_jobs_with_their_pictures_and_the_cluster_with_them() -> None:
    planned(TINY + "sweep: {optimizer.steps: [1000000, 999999]}\n")
    command = [sys.executable, "-m", "nst_graph.cli", "run", "all.yaml"]
    command += ["--runner", "ray"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        running = [Path("runs/all") / name / "metrics.csv" for name in ("1000000", "999999")]
        deadline = time.monotonic() + 200
        while not all(path.is_file() for path in running) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert listening_addresses(process.pid) == {"127.0.0.1"}
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "2 jobs: 0 finished, 0 failed, 2 interrupted" in stdout
    assert all(path.with_name("result.png").is_file() for path in running)


def listening_addresses(ancestor: int) -> set[str]:
    """IPv4 addresses on which a process and those below it listen."""
    inodes = set()
    for pid in (ancestor, *(pid for pid, _ in processes_below(ancestor))):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(entry.readlink()))
            except OSError:
                continue
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="utf-8").splitlines()[1:]:
            (
                _,
                local,
                _,
                state,
                *_,
            ) = fields = line.split()
            if state == "0A" and f"socket:[{fields[9]}]" in inodes:
                words = local.split(":")[0][-8:]
                addresses.add(socket.inet_ntoa(bytes.fromhex(words)[::-1]))
    return addresses
