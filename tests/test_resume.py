"""Runs that stop and go on: the same bits as runs that did not stop; and what is refused."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from networks import seeded_weights

from nst_graph.artifacts import read_manifest
from nst_graph.batch import RunState, check_states, load_batch, plan_batch, run_batch
from nst_graph.checkpoint import CHECKPOINT, load_checkpoint
from nst_graph.claim import Claim
from nst_graph.errors import NstGraphError, OutputError
from nst_graph.images import read_picture, write_picture
from nst_graph.interruption import Interrupted, stop_request
from nst_graph.jobs import make_job
from nst_graph.pipeline import Reusable, RunResult
from nst_graph.pipeline import run as run_plan
from nst_graph.plan import Plan, make_plan
from nst_graph.resumption import plan_to_resume
from nst_graph.types import Step

pytestmark = pytest.mark.tensorflow

SETTINGS = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "size": 48,
    "weights": {"source": "random"},
    "content_layers": {"relu2_1": 1},
    "style_layers": {"relu1_1": 1},
    "log": {"image_every": 2, "losses_every": 1},
}

ADAM = ["optimizer.steps=7"]
SGD = [
    "optimizer={name: sgd, steps: 7, learning_rate: 1.0e-7, decay_rate: 0.5, decay_steps: 2}",
    "log.losses_every=1",
]
LBFGS = ["optimizer={name: lbfgs, segments: 4, evaluations: 3}", "log.losses_every=1"]
BEST = ["recipe=tf_eager", "optimizer.keep=best", "optimizer.learning_rate=30.0", *ADAM]


def plan_of(output: Path, *overrides: str) -> Plan:
    return make_plan(make_job({**SETTINGS, "output": str(output)}, overrides))


def run(
    plan: Plan, watch: Callable[[Step], None] = lambda step: None, *, resume: bool = False
) -> RunResult:
    """A run on a network of few channels."""
    return run_plan(plan, watch, resume=resume, reuse=Reusable(seeded_weights()))


def stop_after(iteration: int, signum: int = signal.SIGINT) -> Callable[[Step], None]:
    def watch(step: Step) -> None:
        if step.iteration == iteration:
            os.kill(os.getpid(), signum)

    return watch


def stop_within_a_segment() -> Callable[[Step], None]:
    """At an evaluation of the second segment: the run will have to go on from the first one."""
    ended: list[int] = []

    def watch(step: Step) -> None:
        if step.status is not None:
            ended.append(step.iteration)
        elif ended:
            os.kill(os.getpid(), signal.SIGINT)

    return watch


def rows_of(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("seconds")
    return rows


def assert_same_results(directory: Path, other: Path) -> None:
    assert rows_of(directory) == rows_of(other)
    names = sorted(path.relative_to(directory) for path in directory.rglob("*.png"))
    assert names == sorted(path.relative_to(other) for path in other.rglob("*.png"))
    for name in names:
        if name.name != "losses.png":
            pixels = read_picture(directory / name).pixels
            np.testing.assert_array_equal(pixels, read_picture(other / name).pixels, str(name))
    ours, theirs = read_manifest(directory) or {}, read_manifest(other) or {}
    for key in ("steps", "losses", "optimizer", "job_sha256", "inputs", "weights"):
        assert ours[key] == theirs[key], key


@pytest.mark.parametrize(
    ("overrides", "stop"),
    [
        (ADAM, 2),
        (SGD, 3),
        (LBFGS, 1),
        ([*LBFGS, "optimizer.stream=evaluation"], None),
        (BEST, 4),
        ([*ADAM, "engine=function"], 2),
        ([*ADAM, "engine=eager"], 2),
        ([*SGD, "engine=function"], 3),
        ([*LBFGS, "engine=function"], 1),
        ([*ADAM, "log.read_losses=before_update", "log.losses_every=3", "engine=graph"], 3),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else None,
)
def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(
    tmp_path: Path, overrides: list[str], stop: int | None
) -> None:
    whole = run(plan_of(tmp_path / "whole", *overrides))
    parts = plan_of(tmp_path / "parts", *overrides)
    with pytest.raises(Interrupted, match="SIGINT"):
        run(parts, stop_within_a_segment() if stop is None else stop_after(stop))
    manifest = read_manifest(parts.output) or {}
    assert manifest["status"] == "interrupted"
    assert (parts.output / "result.png").is_file()
    assert (parts.output / CHECKPOINT).is_file()

    seen: list[int] = []
    again = run(plan_to_resume(parts.output), lambda step: seen.append(step.iteration), resume=True)
    assert seen[0] > 0 if stop is None else seen[0] == stop + 1
    assert again.losses == whole.losses
    assert_same_results(whole.directory, again.directory)
    manifest = read_manifest(parts.output) or {}
    assert manifest["status"] == "finished"
    assert [entry["iteration"] for entry in manifest["resumed"]] == [seen[0]]
    assert not (parts.output / CHECKPOINT).exists(), "a finished run needs none"
    log = (parts.output / "run.log").read_text(encoding="utf-8")
    assert f"resumed at iteration {seen[0]}" in log


def test_the_state_of_adam_is_the_image_both_moments_and_both_powers(tmp_path: Path) -> None:
    for engine in ("graph", "function"):
        plan = plan_of(tmp_path / engine, *ADAM, f"engine={engine}")
        with pytest.raises(Interrupted):
            run(plan, stop_after(2))
        variables = load_checkpoint(plan.output).state.variables
        shapes = sorted(value.shape for value in variables.values() if value.ndim)
        assert shapes == [(1, 36, 48, 3)] * 3
        scalars = [float(value) for value in variables.values() if value.ndim == 0]
        for beta in (0.9, 0.999):
            assert any(power == pytest.approx(beta**4, rel=1e-6) for power in scalars)


def test_a_run_may_be_interrupted_again_and_again(tmp_path: Path) -> None:
    whole = run(plan_of(tmp_path / "whole", *ADAM))
    parts = plan_of(tmp_path / "parts", *ADAM)
    with pytest.raises(Interrupted):
        run(parts, stop_after(0))
    for stop in (1, 2, 4):
        with pytest.raises(Interrupted):
            run(plan_to_resume(parts.output), stop_after(stop, signal.SIGTERM), resume=True)
    run(plan_to_resume(parts.output), resume=True)
    assert_same_results(whole.directory, parts.output)


def test_checkpoints_come_every_so_many_iterations_or_seconds(tmp_path: Path) -> None:
    def positions(*overrides: str) -> list[int | None]:
        found: list[int | None] = []

        def watch(step: Step) -> None:
            path = plan.output / CHECKPOINT
            there = path.is_file()
            found.append(load_checkpoint(plan.output).state.next_iteration if there else None)

        plan = plan_of(tmp_path / str(len(list(tmp_path.iterdir()))), *overrides)
        run(plan, watch)
        return found

    assert positions("optimizer.steps=5", "checkpoint.every=2") == [None, 2, 2, 4, 4]
    assert positions("optimizer.steps=3", "checkpoint.seconds=1e-9") == [1, 2, 2]
    assert positions("optimizer.steps=3", "checkpoint={every: 0, seconds: 0}") == [None] * 3
    for every in (1, 2, 3):  # of evaluations; a segment has three or a few more
        streaming = [*LBFGS, "optimizer.stream=evaluation", f"checkpoint.every={every}"]
        kept = [place for place in positions(*streaming) if place is not None]
        assert len(set(kept)) == 3, "segments end four times, and the last one ends the run"


def test_checkpoints_are_no_part_of_what_a_job_is(tmp_path: Path) -> None:
    often = plan_of(tmp_path, "checkpoint.every=1").job
    assert often.digest == plan_of(tmp_path).job.digest
    assert often.digest != plan_of(tmp_path, "session.deterministic=false").job.digest


def test_a_second_signal_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as caught, stop_request() as stop, stop.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signum == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGINT) is before


def test_a_process_may_ignore_repetitions() -> None:
    with stop_request(repeated="ignore") as stop, stop_request() as inner, inner.deferred():
        assert inner is stop
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        with pytest.raises(Interrupted):
            inner.check()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was interrupted, with pictures of its own: copy it."""
    folder = tmp_path_factory.mktemp("interrupted")
    write_picture(folder / "style.png", np.full((32, 32, 3), 90, np.uint8))
    plan = plan_of(folder / "run", *ADAM, f"style={folder / 'style.png'}")
    with pytest.raises(Interrupted):
        run(plan, stop_after(3))
    return folder / "run"


@pytest.fixture
def left(interrupted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(interrupted, tmp_path / "left")


def refusal(directory: Path) -> NstGraphError:
    with pytest.raises(NstGraphError) as caught:
        run(plan_to_resume(directory), resume=True)
    return caught.value


def test_what_is_not_there_is_not_resumed(left: Path) -> None:
    assert "holds no run" in str(refusal(left.parent / "nothing"))
    assert "too long" in str(refusal(left.parent / ("a" * 300)))
    (left / CHECKPOINT).unlink()
    error = refusal(left)
    assert "no checkpoint" in error.what
    assert "--overwrite" in error.remedy


def test_a_run_is_resumed_from_within_its_directory(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(left)
    result = run(plan_to_resume(Path()), resume=True)
    assert (left / result.picture).is_file()
    assert "finished" in refusal(left).what


def test_a_finished_run_is_not_resumed(left: Path) -> None:
    run(plan_to_resume(left), resume=True)
    assert "finished" in refusal(left).what


def test_an_edited_job_is_refused_with_the_difference(left: Path) -> None:
    job = left / "job.yaml"
    text = job.read_text(encoding="utf-8").replace("learning_rate: 2.0", "learning_rate: 3.0")
    job.write_text(text.replace("size: 48", "size: 50"), encoding="utf-8")
    error = refusal(left)
    assert "optimizer.learning_rate: 2.0 -> 3.0" in error.what
    assert "size: 48 -> 50" in error.what
    assert "output" not in error.what


def test_a_changed_picture_is_refused(left: Path, interrupted: Path) -> None:
    style = interrupted.parent / "style.png"
    before = style.read_bytes()
    try:
        write_picture(style, np.full((32, 32, 3), 91, np.uint8))
        assert "inputs.style.sha256" in refusal(left).what
    finally:
        style.write_bytes(before)
    assert read_manifest(left) == read_manifest(interrupted), "nothing was touched"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(left: Path, share: float) -> None:
    data = (left / CHECKPOINT).read_bytes()
    (left / CHECKPOINT).write_bytes(data[: int(share * len(data))])
    assert "damaged" in refusal(left).what


def test_a_flipped_bit_is_found(left: Path) -> None:
    data = bytearray((left / CHECKPOINT).read_bytes())
    data[len(data) // 2] ^= 4
    (left / CHECKPOINT).write_bytes(data)
    assert "damaged" in refusal(left).what


def test_another_format_is_refused(left: Path) -> None:
    with np.load(left / CHECKPOINT) as stored:
        arrays = dict(stored)
    header = json.loads(arrays["header"].tobytes())
    arrays["header"] = np.frombuffer(json.dumps({**header, "format": 2}).encode(), np.uint8)
    np.savez(left / CHECKPOINT, **arrays)
    assert "format 2" in refusal(left).what
    del header["updates"]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(left / CHECKPOINT, **arrays)
    assert "damaged" in refusal(left).what


def test_running_again_names_the_remedy(left: Path) -> None:
    loaded = make_job({**SETTINGS, "output": str(left)}, ADAM)
    plan = make_plan(loaded)
    with pytest.raises(OutputError) as caught:
        run(plan)
    assert "nst-graph resume" not in caught.value.remedy, "it is another job's"
    with pytest.raises(OutputError) as caught:
        run(plan_to_resume(left))
    assert f"nst-graph resume {left}" in caught.value.remedy
    assert "--overwrite" in caught.value.remedy


def test_another_environment_is_told(left: Path, caplog: pytest.LogCaptureFixture) -> None:
    with np.load(left / CHECKPOINT) as stored:
        arrays = dict(stored)
    header = json.loads(arrays["header"].tobytes())
    header["facts"]["environment"]["tensorflow"] = "2.0.0"
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(left / CHECKPOINT, **arrays)
    run(plan_to_resume(left), resume=True)
    assert "tensorflow: '2.0.0' -> " in caplog.text


def nst(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nst_graph.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def write_job(folder: Path, text: str) -> None:
    (folder / "job.yaml").write_text(
        json.dumps({**SETTINGS, "log": {"image_every": 0, "losses_every": 1}})[:-1] + f", {text}}}",
        encoding="utf-8",
    )


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_ended_is_resumed_to_the_same_bits(tmp_path: Path, signum: int) -> None:
    """From the command line, as a cluster or the kernel ends it."""
    write_job(tmp_path, '"optimizer": {"steps": 60}, "checkpoint": {"every": 5}')
    directory = tmp_path / "runs" / "job"
    command = [sys.executable, "-m", "nst_graph.cli", "run", "job.yaml"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        deadline = time.monotonic() + 120
        while not (directory / CHECKPOINT).is_file() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signum)
        _, stderr = process.communicate(timeout=100)
    if signum == signal.SIGTERM:
        assert process.returncode == 143, stderr
        assert "nst-graph resume runs/job" in stderr
        assert (directory / "result.png").is_file()
    else:
        assert process.returncode == -signal.SIGKILL
    manifest = read_manifest(directory) or {}
    assert manifest["status"] == ("interrupted" if signum == signal.SIGTERM else "running")

    refused = nst("run", "job.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "nst-graph resume runs/job" in refused.stderr
    done = nst("resume", "runs/job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    whole = nst("run", "job.yaml", "--set", "output=whole", cwd=tmp_path)
    assert whole.returncode == 0
    assert_same_results(tmp_path / "whole", directory)


def test_a_batch_goes_on_from_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_job(tmp_path, '"optimizer": {"steps": 6}, "sweep": {"weights.seed": [1, 2, 3]}')
    planned = plan_batch(load_batch(Path("job.yaml")))

    def stop_the_second(event: object) -> None:
        if getattr(event, "index", None) == 1 and getattr(event, "evaluations", 0) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    states = check_states(planned, overwrite=False)
    report = run_batch(planned, states, stop_the_second)
    assert (report.interrupted, report.signum) == (True, signal.SIGTERM)
    assert [each.status for each in report.outcomes] == ["finished", "interrupted", "not started"]

    seen: list[int] = []
    states = check_states(planned, overwrite=False)
    assert states == [RunState.FINISHED, RunState.UNFINISHED, RunState.NEW]
    report = run_batch(planned, states, lambda event: seen.append(getattr(event, "evaluations", 0)))
    assert report.count("finished") == 2
    assert [count for count in seen if count][:2] == [5, 6], "the second job went on"
    whole = plan_batch(load_batch(Path("job.yaml"), ["output=whole"]))
    run_batch(whole, check_states(whole, overwrite=False))
    for job, other in zip(planned.jobs, whole.jobs, strict=True):
        assert_same_results(job.plan.output, other.plan.output)


def test_a_run_that_is_at_work_is_not_resumed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_job(tmp_path, '"optimizer": {"steps": 3}, "sweep": {"weights.seed": [1, 2]}')
    planned = plan_batch(load_batch(Path("job.yaml")))
    busy = planned.jobs[0].plan
    with pytest.raises(Interrupted):
        run(busy, stop_after(1))
    claim = Claim(busy.output / "run.log")
    assert "still at work" in refusal(busy.output).what
    planned = plan_batch(load_batch(Path("job.yaml")))  # that is no fault of the file
    report = run_batch(planned, check_states(planned, overwrite=False))
    assert [each.status for each in report.outcomes] == ["failed", "finished"]
    assert "still at work" in report.outcomes[0].error
    claim.release()
    assert load_checkpoint(busy.output).state.next_iteration == 2


def test_a_batch_starts_over_where_the_checkpoint_does_not_fit(tmp_path: Path) -> None:
    write_job(tmp_path, f'"optimizer": {{"steps": 4}}, "jobs": [{{}}], "output": "{tmp_path}/all"')
    planned = plan_batch(load_batch(tmp_path / "job.yaml"))
    (job,) = planned.jobs
    with pytest.raises(Interrupted):
        run(job.plan, stop_after(1))
    (job.plan.output / CHECKPOINT).write_bytes(b"damaged")
    seen: list[int] = []
    states = check_states(planned, overwrite=False)
    report = run_batch(planned, states, lambda event: seen.append(getattr(event, "evaluations", 0)))
    assert report.count("finished") == 1
    assert [count for count in seen if count] == [1, 2, 3, 4]


def assert_stopped_for_want_of_room(error: OutputError, directory: Path, code: int) -> None:
    assert os.strerror(code) in error.what
    assert str(directory) in error.where
    assert f"nst-graph resume {directory}" in error.remedy
    assert not list(directory.rglob("*.tmp"))
    assert load_checkpoint(directory).state.next_iteration == 3


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """EFBIG at the second checkpoint: the first one stays, and the run goes on from it."""
    whole = run(plan_of(tmp_path / "whole", *ADAM))
    plan = plan_of(tmp_path / "run", *ADAM, "checkpoint.every=3")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(step: Step) -> None:
        if step.iteration == 3:
            size = (plan.output / CHECKPOINT).stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size - 100, hard))

    try:
        with pytest.raises(OutputError) as caught:
            run(plan, limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_stopped_for_want_of_room(caught.value, plan.output, errno.EFBIG)
    run(plan_to_resume(plan.output), resume=True)
    assert_same_results(whole.directory, plan.output)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    whole = run(plan_of(tmp_path / "whole", *ADAM))
    plan = plan_of(small_disk / "run", *ADAM, "checkpoint.every=3")
    filler = small_disk / "filler"

    def fill(step: Step) -> None:
        if step.iteration == 3:
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
                while file.write(bytes(4096)):
                    pass

    with pytest.raises(OutputError) as caught:
        run(plan, fill)
    assert_stopped_for_want_of_room(caught.value, plan.output, errno.ENOSPC)
    filler.unlink()
    run(plan_to_resume(plan.output), resume=True)
    assert_same_results(whole.directory, plan.output)
