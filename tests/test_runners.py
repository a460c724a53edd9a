"""Which runner, with which options; what a job asks of a cluster. No Ray and no TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from nst_graph.batch import RUNNERS, RunnerOptions, make_runner, run_here
from nst_graph.batch.resources import Needs, Node, check_needs, places, settle
from nst_graph.errors import ConfigError, DeviceError
from nst_graph.estimate import estimate
from nst_graph.jobs import make_job
from nst_graph.memory_mode import Mode
from nst_graph.plan import Plan, make_plan

GB = 1 << 30
SMALL = {"CPU": 4.0, "memory": 8.0 * GB}
LARGE = {"CPU": 16.0, "GPU": 2.0, "memory": 64.0 * GB}


def plan(*overrides: str) -> Plan:
    settings = {"recipe": "coursera", "content": "embedded:landscape", "output": "x", "size": 48}
    settings["style"] = "embedded:painting"
    return make_plan(make_job(settings, overrides))


def test_every_option_belongs_to_one_runner() -> None:
    owned = [option for runner in RUNNERS.values() for option in runner.options]
    assert sorted(owned) == sorted(field.name for field in fields(RunnerOptions))


@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("rya", RunnerOptions(), r"--runner: unknown runner 'rya'\n  did you mean 'ray'\?"),
        ("ray", RunnerOptions(workers=2), "--workers: is no option of the runner 'ray'"),
        ("local", RunnerOptions(address="auto"), "--address: is no option of the runner 'local'"),
        ("local", RunnerOptions(cpus_per_job=1), "(?s)--cpus-per-job: .*use --runner ray"),
        ("ray", RunnerOptions(gpus_per_job=0.0), "--gpus-per-job: 0 is out of range"),
        ("ray", RunnerOptions(gpus_per_job=2.0), "--gpus-per-job: 2 is out of range"),
        ("ray", RunnerOptions(gpus_per_job=float("nan")), "--gpus-per-job: nan is out of range"),
    ],
)
def test_nonsense_is_refused(runner: str, options: RunnerOptions, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_runner(runner, options)


def test_the_default_is_this_process() -> None:
    assert make_runner("local") is run_here
    assert make_runner("local", RunnerOptions(workers=1)) is run_here
    assert make_runner("local", RunnerOptions(workers=2)) is not run_here


def test_without_ray_the_command_to_install_it_is_shown(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text("recipe: coursera\n", encoding="utf-8")
    code = (
        "import sys\n"
        "sys.modules['ray'] = None\n"  # as though it were not there
        "from nst_graph import cli\n"
        f"sys.argv = ['nst-graph', 'run', {str(job)!r}, '--runner', 'ray']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'nst_graph[ray]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("overrides", "nodes", "options", "cpus", "gpus"),
    [
        ([], [SMALL], {}, 1, 0.0),
        ([], [SMALL], {"cpus": 4}, 4, 0.0),
        ([], [SMALL, LARGE], {}, 1, 1.0),
        ([], [SMALL, LARGE], {"gpus": 0.25}, 1, 0.25),
        (["session.device=cpu"], [LARGE], {"gpus": 0.5}, 1, 0.0),
        (["session.device=gpu"], [SMALL], {}, 1, 1.0),
        (["session.threads=3"], [SMALL], {"cpus": 2}, 3, 0.0),
    ],
)
def test_needs_come_from_the_job(
    overrides: list[str],
    nodes: list[dict[str, float]],
    options: dict[str, int],
    cpus: int,
    gpus: float,
) -> None:
    asked = plan(*overrides)
    _, needs = settle(asked, nodes, **options)
    assert (needs.cpus, needs.gpus) == (cpus, gpus)
    assert needs.memory == estimate(asked).memory_mb * 2**20


def test_memory_is_that_of_the_nodes_not_of_the_machine_that_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = plan("size=2048")
    full, low = (
        estimate(asked, 10**6),
        estimate(plan("size=2048", "session.memory=low"), 10**6),
    )
    large: Node = {"CPU": 4.0, "memory": float((full.memory_mb + 1) << 20)}
    small: Node = {"CPU": 8.0, "memory": float((full.memory_mb - 1) << 20)}
    for here in (1000, 10**6):
        monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda here=here: here)
        for nodes, cpus, cost in (
            ([small, large], 1, full),
            ([small], 1, low),
            ([small, large], 8, low),  # the large one has not as many
        ):
            decided, needs = settle(asked, nodes, cpus=cpus)
            assert needs.memory == cost.memory_mb << 20
            # What the worker makes of it, whatever is free there.
            assert estimate(decided).memory_mb == cost.memory_mb
            assert (decided.mode, decided.job) == (cost.mode, asked.job)
    on_gpu, _ = settle(asked, [{**small, "GPU": 1.0}])
    assert on_gpu.mode is None


def test_each_size_is_settled() -> None:
    asked = plan("sizes=[64, 2048]")
    node: Node = {"CPU": 4.0, "memory": 8.0 * GB}
    decided, needs = settle(asked, [node])
    assert [stage.mode for stage in decided.stages] == [Mode("full"), Mode("low")]
    assert needs.memory == estimate(decided).memory_mb << 20


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (Needs(1, 1.0, GB), "needs 1 GPU on one node; the most that one has is 0"),
        (Needs(5, 0.0, GB), "needs 5 CPUs on one node; the most that one has is 4"),
        (Needs(1, 0.0, 9 * GB), "needs 9216 MB of memory on one node; the most that one has is 8"),
    ],
)
def test_what_no_node_has_is_refused_at_once(needs: Needs, message: str) -> None:
    with pytest.raises(DeviceError, match=f"cat: {message}"):
        check_needs(needs, [SMALL, SMALL], "cat")
    check_needs(needs, [SMALL, LARGE], "cat")


def test_one_node_must_have_all_of_it() -> None:
    fast = {"CPU": 2.0, "GPU": 1.0, "memory": 4.0 * GB}
    with pytest.raises(DeviceError, match="no node has all"):
        check_needs(Needs(4, 1.0, GB), [SMALL, fast], "cat")


def test_places_are_those_of_the_smallest_job() -> None:
    assert places([Needs(1, 0.5, GB)], [SMALL, LARGE]) == 4
    assert places([Needs(1, 0.0, GB)], [SMALL, LARGE]) == 4 + 16
    assert places([Needs(2, 0.0, 4 * GB), Needs(1, 1.0, GB)], [SMALL]) == 4
    assert places([Needs(8, 0.0, GB)], [SMALL]) == 1
    assert Needs(1, 0.1, GB).fits({"CPU": 99.0, "GPU": 0.3, "memory": 99.0 * GB}) == 3
