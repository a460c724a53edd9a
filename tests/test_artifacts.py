"""What becomes of the run that a directory holds when another takes its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from nst_graph.artifacts import RunDirectory, check_output
from nst_graph.errors import OutputError


def begin(path: Path, mark: str) -> RunDirectory:
    directory = RunDirectory(path, {"job": {}, "job_sha256": ""}, overwrite=True)
    (path / "mark").write_text(mark, encoding="utf-8")
    return directory


def mark_of(path: Path) -> str:
    return (path / "mark").read_text(encoding="utf-8")


def test_a_finished_run_outlives_all_attempts_to_replace_it(tmp_path: Path) -> None:
    path, previous = tmp_path / "run", tmp_path / "run.previous"
    begin(path, "first").finish("finished")
    for attempt in ("second", "third", "fourth"):
        begin(path, attempt).close()  # as a process that is killed
        assert (mark_of(path), mark_of(previous)) == (attempt, "first")
    begin(path, "last").finish("finished")
    assert mark_of(path) == "last"
    assert not previous.exists()


def test_of_unfinished_runs_the_later_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run"
    for attempt in ("first", "second", "third"):
        begin(path, attempt).close()
    assert mark_of(tmp_path / "run.previous") == "second"


def test_a_directory_of_that_name_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    path, previous = tmp_path / "run", tmp_path / "run.previous"
    begin(path, "first").finish("finished")
    previous.mkdir()
    (previous / "letters.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"run\.previous: what is there is not a run's"):
        check_output(path, overwrite=True)
    with pytest.raises(OutputError, match="not a run's"):
        begin(path, "second")
    assert mark_of(path) == "first"
    assert (previous / "letters.txt").is_file()


def test_a_run_is_finished_though_the_one_before_cannot_be_removed(tmp_path: Path) -> None:
    path, previous = tmp_path / "run", tmp_path / "run.previous"
    begin(path, "first").finish("finished")
    directory = begin(path, "second")
    for entry in previous.iterdir():
        entry.unlink()
    previous.rmdir()
    directory.finish("finished")
    assert "run.previous could not be removed" in (path / "run.log").read_text(encoding="utf-8")
