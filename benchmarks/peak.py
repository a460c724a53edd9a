"""Peak memory of one variant at one size, in a process of its own.

python benchmarks/peak.py "exact" 300x400
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

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
    from variants import VARIANTS, random_pictures, random_weights

    variant, size = sys.argv[1:]
    height, width = map(int, size.split("x"))
    content, style = random_pictures(height, width)
    with VARIANTS[variant](content, style, random_weights()) as step:
        for _ in range(STEPS):
            step()
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))


if __name__ == "__main__":
    main()
