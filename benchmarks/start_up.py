"""From the start of the process to the first step: the first time, and with caches filled.

    python benchmarks/start_up.py [--size 300x400] [--weights FILE]

Each start is a process of its own, as ``nst-graph run`` would be, with a cache made for the
occasion. Without --weights a file of seeded values is made (80 MB, convolutions only).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Starts with the caches filled; the median counts.
REPEATED = 5


def measure(size: str, weights: Path | None) -> dict[str, Any]:
    """Seconds to the first step: "first", "second" (median of "seconds"), their "ratio", and the
    stages of the last start.
    """
    with tempfile.TemporaryDirectory(prefix="nst_graph_start_") as name:
        folder = Path(name)
        environment = {**os.environ, "NST_GRAPH_CACHE": str(folder / "cache")}
        job = _job(folder, size, weights or _make_weights(folder))
        starts = [_start(job, environment) for _ in range(1 + REPEATED)]
    first, *later = (start["seconds"] for start in starts)
    second = float(np.median(later))
    return {
        "size": size,
        "first": first,
        "second": second,
        "ratio": round(second / first, 3),
        "seconds": later,
        "stages": starts[-1]["stages"],
    }


def _job(folder: Path, size: str, weights: Path) -> Path:
    height, width = map(int, size.split("x"))
    job = folder / "job.yaml"
    settings = {
        "recipe": "coursera",
        "content": _make_picture(folder / "content.png", height, width, seed=1),
        "style": _make_picture(folder / "style.png", height, width, seed=2),
        "output": str(folder / "run"),
        "weights": {"source": "matconvnet", "path": str(weights)},
        "optimizer": {"name": "adam", "steps": 1},
    }
    job.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return job


def _make_picture(path: Path, height: int, width: int, seed: int) -> str:
    from nst_graph.images import write_picture

    generator = np.random.default_rng(seed)
    write_picture(path, generator.integers(0, 256, (height, width, 3)).astype(np.uint8))
    return str(path)


def _make_weights(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import matwriter

    weights = matwriter.seeded_weights(fc=False)
    return matwriter.write_mat(folder / "vgg19.mat", weights, compress=True)


def _start(job: Path, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__)), "--child", str(time.time()), str(job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def start_once(started: float, job: Path) -> None:
    """What ``nst-graph run`` does, and when its first step was over."""
    from nst_graph.cli.base import quiet_import
    from nst_graph.plan import plan_file

    plan = plan_file(job)
    with quiet_import():
        from nst_graph.pipeline import run
    seconds: list[float] = []
    result = run(plan, lambda step: seconds.append(time.time() - started), overwrite=True)
    print(json.dumps({"seconds": round(seconds[0], 3), "stages": result.timings}))


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        start_once(float(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="300x400", help="height x width")
    parser.add_argument("--weights", type=Path, help="a .mat file")
    arguments = parser.parse_args()
    found = measure(arguments.size, arguments.weights)
    print(f"{found['ratio']:.2f} of the first start's time:", end=" ")
    print(f"first {found['first']:.2f} s, later {found['second']:.2f} s (median of {REPEATED})")
    print("stages of the last:", found["stages"])


if __name__ == "__main__":
    main()
