"""The command line as a user meets it: exit codes, messages, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nst_graph import __version__

NST = [sys.executable, "-m", "nst_graph.cli"]
TINY = [
    *("--set", "size=48", "--set", "content_layers={relu2_1: 1}"),
    *("--set", "style_layers={relu1_1: 1}"),
]


def nst(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NST, *arguments], capture_output=True, text=True, cwd=cwd, check=False)


def write_job(folder: Path, extra: str = "") -> Path:
    path = folder / "job.yaml"
    path.write_text(
        "recipe: coursera\ncontent: embedded:landscape\nstyle: embedded:painting\n" + extra,
        encoding="utf-8",
    )
    return path


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_version_and_help(tmp_path: Path) -> None:
    assert nst("--version", cwd=tmp_path).stdout == f"nst_graph {__version__}\n"
    shown = nst("--help", cwd=tmp_path)
    assert shown.returncode == 0
    for command in ("run", "demo", "validate", "show-config", "download", "weights"):
        assert command in shown.stdout


def test_a_typo_names_file_line_key_and_the_nearest_key(tmp_path: Path) -> None:
    write_job(tmp_path, "optimizer:\n  learning_rat: 3\n")
    done = nst("run", "job.yaml", cwd=tmp_path)
    assert_refused(done, "job.yaml:5:3: optimizer.learning_rat", "did you mean 'learning_rate'?")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("content: absent.png\n", ["second time"]),
        ("output: job.yaml\n", ["is a file"]),
        ("weights: {path: job.yaml}\n", ["weights.path", "job.yaml"]),
        ("weights: {source: matconvnet}\n", ["nst-graph download"]),
        ("size: 4\n", ["size", "16"]),
    ],
)
def test_bad_jobs_are_refused(tmp_path: Path, extra: str, words: list[str]) -> None:
    write_job(tmp_path, extra)
    assert_refused(nst("run", "job.yaml", cwd=tmp_path), *words)


def test_a_missing_picture_is_placed_in_the_job(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "recipe: coursera\ncontent: absent.png\nstyle: embedded:paintin\n", encoding="utf-8"
    )
    done = nst("validate", "job.yaml", cwd=tmp_path)
    assert_refused(
        done,
        "job.yaml:2:1: content",
        "absent.png",
        "job.yaml:3:1: style",
        "did you mean 'embedded:painting'?",
    )


def test_validate_checks_every_file(tmp_path: Path) -> None:
    good = write_job(tmp_path)
    bad = tmp_path / "bad.yaml"
    bad.write_text("recipe: nope\n", encoding="utf-8")
    done = nst("validate", str(bad), str(good), cwd=tmp_path)
    assert_refused(done, "bad.yaml:1:1: recipe", "'nope'")
    assert "job.yaml: ok" in done.stdout
    assert nst("validate", str(good), cwd=tmp_path).returncode == 0


def test_show_config_is_a_job(tmp_path: Path) -> None:
    write_job(tmp_path)
    shown = nst("show-config", "job.yaml", "--set", "size=64", cwd=tmp_path)
    assert shown.returncode == 0
    (tmp_path / "shown.yaml").write_text(shown.stdout, encoding="utf-8")
    again = nst("show-config", "shown.yaml", cwd=tmp_path)
    assert again.stdout == shown.stdout


def test_weights_info_of_what_is_no_weights_file(tmp_path: Path) -> None:
    (tmp_path / "page.mat").write_text("<!DOCTYPE html><html>404</html>" * 9, encoding="utf-8")
    done = nst("weights", "info", "page.mat", cwd=tmp_path)
    assert_refused(done)
    assert "page.mat" in done.stdout
    assert "web page" in done.stdout
    assert_refused(nst("weights", "info", "absent.mat", cwd=tmp_path), "absent.mat")


@pytest.mark.parametrize("command", ["resume", "report", "animate", "rerun", "weights info", "run"])
def test_a_name_that_is_too_long_is_a_fault_like_any_other(tmp_path: Path, command: str) -> None:
    assert_refused(nst(*command.split(), "a" * 300, cwd=tmp_path), "too long")


@pytest.mark.tensorflow
def test_a_run_from_job_to_picture(tmp_path: Path) -> None:
    write_job(tmp_path)
    done = nst("run", "job.yaml", *TINY, "--set", "optimizer.steps=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "job" / "result.png").is_file()
    assert "random kernels" in done.stderr
    assert "result.png" in done.stdout
    again = nst("run", "job.yaml", *TINY, "--set", "optimizer.steps=2", cwd=tmp_path)
    assert_refused(again, "already holds a run", "--overwrite")


@pytest.mark.tensorflow
def test_asking_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    write_job(tmp_path)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [*NST, "run", "job.yaml", *TINY, "--set", "session.device=gpu"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert_refused(done, "no GPU", "session.device=cpu")
    assert not (tmp_path / "runs").exists()


@pytest.mark.tensorflow
def test_ctrl_c_keeps_the_last_picture(tmp_path: Path) -> None:
    write_job(tmp_path)
    images = tmp_path / "runs" / "job" / "images"
    with subprocess.Popen(
        [*NST, "run", "job.yaml", *TINY, "--set", "optimizer.steps=1000000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        for _ in range(600):
            if images.is_dir() and any(images.iterdir()):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert (tmp_path / "runs" / "job" / "result.png").is_file()


def test_commands_import_tensorflow_without_keras_3_which_is_there_for_who_asks() -> None:
    code = (
        "import sys\n"
        "from nst_graph.cli.base import quiet_import\n"
        "with quiet_import():\n"
        "    import tensorflow as tf\n"
        "before = 'keras' in sys.modules\n"
        "print('KERAS', before, tf.keras.__version__[:2])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "KERAS False 3." in done.stdout
