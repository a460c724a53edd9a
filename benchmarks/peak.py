"""Peak memory of one variant at one size, in a process of its own.

python benchmarks/peak.py "exact" 300x400
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nst_graph.machine import peak_memory_mb

#: The first makes everything; the second has all of it and works.
STEPS = 2


def peak_mb(variant: str, height: int, width: int) -> int | None:
    """Largest resident size of a process that makes two steps, MB; None where it failed."""
    command = [sys.executable, str(Path(__file__)), variant, f"{height}x{width}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(f"{variant} at {height}x{width} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    mb: int = json.loads(done.stdout.splitlines()[-1])["peak_mb"]
    return mb


def main() -> None:
    variant, size = sys.argv[1:]
    height, width = map(int, size.split("x"))
    with open_step(variant, height, width) as step:
        for _ in range(STEPS):
            step()
    print(json.dumps({"peak_mb": round(peak_memory_mb())}))


def open_step(
    variant: str, height: int, width: int
) -> AbstractContextManager[Callable[[], object]]:
    """The variant in this process, in which nothing else is imported."""
    if variant.startswith("torch"):
        from torch_step import torch_step
        from work import random_pictures, random_weights

        bf16 = variant.endswith("bf16")
        return torch_step(*random_pictures(height, width), random_weights(), bf16=bf16)
    from variants import VARIANTS

    return VARIANTS[variant](height, width)


if __name__ == "__main__":
    main()
