"""Two runs in one directory: the second is refused while the first is at work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nst_graph.artifacts import RunDirectory, check_output
from nst_graph.claim import Claim, check_unclaimed
from nst_graph.errors import OutputError

pytest.importorskip("fcntl")

HOLD = """
import sys
from pathlib import Path
from nst_graph.claim import Claim
claim = Claim(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.log"
    path.touch()
    return path


def test_a_claim_is_of_one_process_and_ends_with_it(log: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(log)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match="still at work"):
            Claim(log)
        with pytest.raises(OutputError, match="still at work"):
            check_unclaimed(log)
        holder.kill()
        holder.wait()
    Claim(log).release()


def test_a_run_is_not_replaced_while_it_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "run"
    facts = {"job": {"recipe": "coursera"}, "job_sha256": "ab"}
    first = RunDirectory(path, facts)
    for overwrite in (True, False):
        with pytest.raises(OutputError, match="still at work"):
            check_output(path, overwrite=overwrite)
    assert (path / "manifest.json").is_file()
    first.finish("interrupted")
    check_output(path, overwrite=True)
    with pytest.raises(OutputError, match="already holds a run"):
        check_output(path, overwrite=False)


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    check_unclaimed(tmp_path / "run.log")
    assert not any(tmp_path.iterdir())
