"""What a job needs, what there is, and what follows: modes and refusals. No TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_graph.errors import NstGraphError
from nst_graph.estimate import TILE_SIDES, estimate
from nst_graph.jobs import make_job
from nst_graph.machine import MEMORY_SHARE_VARIABLE, available_memory_mb
from nst_graph.memory_mode import Mode, modes_in, modes_only, modes_text
from nst_graph.plan import Plan, make_plan, settled

MB = 2**20


@pytest.fixture
def small_picture(tmp_path: Path) -> Path:
    """A picture that a job may enlarge to any size."""
    path = tmp_path / "small.png"
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def plan_of(picture: Path, *overrides: str) -> Plan:
    job = {"recipe": "coursera", "content": str(picture), "style": str(picture), "output": "runs/x"}
    return make_plan(make_job({**job, "weights": {"source": "random"}}, overrides))


def test_auto_takes_what_fits_and_costs_least(small_picture: Path) -> None:
    plan = plan_of(small_picture, "size=2048")
    full = estimate(plan, 10**6)
    assert full.mode == Mode("full")
    assert full.memory_mb > 10_000
    needed = [full]
    while (less := estimate(plan, needed[-1].memory_mb - 1)).fits:
        assert less.memory_mb < needed[-1].memory_mb
        assert less.operations > full.operations
        needed.append(less)
    # Of the tiles only those that need less than strips do.
    tiles = [Mode("tiled", side) for side in TILE_SIDES if side < 1024]
    assert [cost.mode for cost in needed] == [Mode("full"), Mode("low"), *tiles]


def test_what_the_job_says_is_kept(small_picture: Path) -> None:
    full = estimate(plan_of(small_picture, "size=2048", "session.memory=full"), 2000)
    assert (full.mode, full.fits) == (Mode("full"), False)
    tiled = plan_of(small_picture, "size=400", "session.memory=tiled", "session.tile_size=128")
    assert estimate(tiled, 10**6).mode == Mode("tiled", 128)
    eager = estimate(plan_of(small_picture, "size=2048", "engine=eager"), 2000)
    assert (eager.mode, eager.fits) == (Mode("full"), False)


def test_what_is_settled_stays_where_the_settings_allow_it(small_picture: Path) -> None:
    tiles = {"mode": "tiled", "tile_size": 128, "estimated_mb": 5}
    for override, mode in (
        ("session.memory=auto", Mode("tiled", 128)),
        ("session.memory=low", Mode("low")),
        ("session.tile_size=64", Mode("full")),
        ("engine=eager", Mode("full")),
    ):
        plan = plan_of(small_picture, "size=400", override)
        assert estimate(settled(plan, tiles), 10**6).mode == mode
    assert settled(plan, {**tiles, "coarser": [tiles]}) == plan  # of another number of sizes
    assert estimate(settled(plan, {"mode": "most"}), 10**6).mode == Mode("full")


def test_what_a_manifest_says_of_modes() -> None:
    whole = {"mode": "full", "tile_size": None, "available_mb": 1}
    tiles = {"mode": "tiled", "tile_size": 512, "available_mb": 1, "coarser": [whole, whole]}
    assert modes_in(tiles) == [Mode("full"), Mode("full"), Mode("tiled", 512)]
    assert modes_text(modes_in(tiles)) == "as a whole, then in tiles of 512 pixels"
    assert modes_in(modes_only(tiles)) == modes_in(tiles)
    assert "available_mb" not in str(modes_only(tiles))
    assert modes_in(None) == modes_in([]) == modes_in({"mode": "tiled"}) == [None]


def test_lbfgs_needs_memory_for_its_own_vectors(small_picture: Path) -> None:
    adam, lbfgs = (
        estimate(plan_of(small_picture, "size=1024", *more), 10**6).memory_mb
        for more in ((), ("optimizer={name: lbfgs}",))
    )
    assert lbfgs - adam == pytest.approx(280 * 3 * 1024 * 768 / MB, abs=1)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["engine=eager", "session.memory=tiled"], ["memory: tiled", "engine: graph"]),
        (["engine=function", "session.mixed_precision=bf16"], ["mixed_precision", "engine: graph"]),
        (["session.memory=full", "session.tile_size=512"], ["no tiles"]),
        (["session.memory=low", "session.tile_size=512"], ["memory: low has no tiles"]),
        (["session.memory=low", "engine=eager"], ["memory: low", "engine: graph"]),
        (["session.memory=low", "session.mixed_precision=bf16"], ["mixed_precision"]),
        (["session.precision=fast", "session.memory=tiled"], ["precision: exact"]),
        (["session.precision=fast", "session.mixed_precision=bf16"], ["mixed_precision"]),
        (["session.tile_size=100"], ["session.tile_size", "multiple of 16"]),
        (["session.memory=most"], ["session.memory", "auto, full, low, tiled"]),
        (["session.memory_fraction=0"], ["session.memory_fraction", "greater than 0"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    small_picture: Path, overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(NstGraphError) as caught:
        plan_of(small_picture, *overrides)
    for word in words:
        assert word in str(caught.value)


def write(system: Path, **files: str) -> None:
    for name, text in files.items():
        path = system / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


MEMINFO = f"MemTotal: {8000 << 10} kB\nMemFree: {10 << 10} kB\nMemAvailable: {6000 << 10} kB\n"


def test_available_memory_is_the_machines_where_no_group_limits_it(tmp_path: Path) -> None:
    write(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/\n")
    assert available_memory_mb(tmp_path) == 6000
    write(tmp_path, sys__fs__cgroup__memory_dot_max="max\n")
    assert available_memory_mb(tmp_path) == 6000


def test_available_memory_is_the_least_that_a_group_has_left(tmp_path: Path) -> None:
    write(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/slurm/job\n",
        sys__fs__cgroup__slurm__memory_dot_max=str(4000 * MB),
        sys__fs__cgroup__slurm__memory_dot_current=str(3500 * MB),
        sys__fs__cgroup__slurm__memory_dot_stat=f"anon 1\ninactive_file {300 * MB}\n",
        sys__fs__cgroup__slurm__job__memory_dot_max="max\n",
    )
    assert available_memory_mb(tmp_path) == 800


def test_available_memory_knows_groups_of_version_1(tmp_path: Path) -> None:
    write(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="5:cpu:/\n4:memory:/docker/outside\n0::/\n",
        sys__fs__cgroup__memory__memory_dot_limit_in_bytes=str(2000 * MB),
        sys__fs__cgroup__memory__memory_dot_usage_in_bytes=str(600 * MB),
        sys__fs__cgroup__memory__memory_dot_stat=f"total_inactive_file {100 * MB}\n",
    )
    assert available_memory_mb(tmp_path) == 1500


def test_a_worker_has_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, proc__meminfo=MEMINFO)
    for share, available in (("1200", 1200), ("900000", 6000), ("", 6000)):
        monkeypatch.setenv(MEMORY_SHARE_VARIABLE, share)
        assert available_memory_mb(tmp_path) == available


def nst(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nst_graph.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.tensorflow
def test_a_job_that_cannot_fit_is_refused_before_anything_is_written(small_picture: Path) -> None:
    folder = small_picture.parent
    job = "recipe: coursera\ncontent: small.png\nstyle: small.png\nsize: 10000\n"
    (folder / "big.yaml").write_text(job + "session: {memory: full}\n", encoding="utf-8")
    checked = nst(folder, "validate", "big.yaml")
    assert checked.returncode == 0
    assert "computed as a whole" in checked.stdout
    assert "not fit" in checked.stderr
    done = nst(folder, "run", "big.yaml")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in ("10000x7500", "needs about", "available", "--set size="):
        assert word in done.stderr
    assert not (folder / "runs").exists()
    side = done.stderr.partition("--set size=")[2].partition(",")[0]
    smaller = nst(folder, "validate", "big.yaml", "--set", f"size={int(side) * 9 // 10}")
    assert "not fit" not in smaller.stderr


@pytest.mark.tensorflow
def test_in_a_batch_only_the_job_that_cannot_fit_fails(small_picture: Path) -> None:
    folder = small_picture.parent
    (folder / "two.yaml").write_text(
        "recipe: coursera\ncontent: small.png\nstyle: small.png\nsession: {memory: full}\n"
        "content_layers: {relu1_2: 1}\nstyle_layers: {relu1_1: 1}\noptimizer: {steps: 1}\n"
        "sweep: {size: [32, 10000]}\n",
        encoding="utf-8",
    )
    listed = nst(folder, "run", "two.yaml", "--dry-run")
    assert "MB as a whole" in listed.stdout
    done = nst(folder, "run", "two.yaml")
    assert done.returncode == 1
    assert "1 finished, 1 failed" in done.stdout
    assert "needs about" in done.stdout
