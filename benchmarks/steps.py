"""Time and memory of one step of the Coursera recipe, VGG-19 to relu5_1, in every variant.

    python benchmarks/steps.py [--sizes 300x400 512x512 1024x1024] [--rounds 9] [--only NAME ...]

Times are taken with the variants in turn, PyTorch's in a process beside; memory in a process each,
at the largest size. A ratio is the median over the rounds of one variant's time by a reference's of
the same round. Variants that cannot run here (no PyTorch, no bfloat16 in the processor) are left
out, with the reason.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from peak import peak_mb
from timing import interleave
from variants import NEED_BF16, VARIANTS

from nst_graph.precision import BFLOAT16_FLAGS, cpu_flags

SIZES = ("300x400", "512x512", "1024x1024")
REFERENCE = "plain v1"
REFERENCES = (REFERENCE, "plain v1, auto mixed bf16", "torch", "torch bf16")


def why_not(variant: str) -> str:
    """Why a variant cannot be measured here; "" if it can."""
    if variant.startswith("torch") and importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    if variant in NEED_BF16 and not BFLOAT16_FLAGS & cpu_flags():
        return "this processor has neither AMX nor AVX512-BF16"
    return ""


def measure_times(size: str, variants: Sequence[str], rounds: int) -> dict[str, Any]:
    """Timings by variant at one size."""
    height, width = map(int, size.split("x"))
    with ExitStack() as stack:
        steps = {name: stack.enter_context(VARIANTS[name](height, width)) for name in variants}
        timings = interleave(steps, rounds, REFERENCES)
    return {name: timing.as_dict() for name, timing in timings.items()}


def measure_memory(size: str, variants: Sequence[str]) -> dict[str, int | None]:
    """Peak MB by variant at one size."""
    height, width = map(int, size.split("x"))
    return {name: peak_mb(name, height, width) for name in variants}


def measure(sizes: Sequence[str], rounds: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """All of it: "left_out" by variant, and for each size "seconds" and "peak_mb" by variant."""
    wanted = [name for name in VARIANTS if name in {REFERENCE, *only} or not only]
    left_out = {name: why_not(name) for name in wanted if why_not(name)}
    variants = [name for name in wanted if name not in left_out]
    found: dict[str, Any] = {"left_out": left_out, "sizes": {}}
    for size in sizes:
        found["sizes"][size] = {
            "seconds": measure_times(size, variants, _rounds_at(size, rounds)),
            "peak_mb": measure_memory(size, variants) if size == sizes[-1] else {},
        }
        print_size(size, found["sizes"][size])
    for name, reason in left_out.items():
        print(f"{name}: left out, {reason}")
    return found


def _rounds_at(size: str, rounds: int) -> int:
    """Fewer where a step takes many times as long."""
    height, width = map(int, size.split("x"))
    return rounds if height * width < 500_000 else max(3, rounds // 2)


def print_size(size: str, found: dict[str, Any]) -> None:
    """A line for each variant: its time by that of each reference, in their order."""
    references = list(found["seconds"][REFERENCE]["ratios"])
    print(f"{size}: ratios to {', '.join(references)}; median seconds [quartiles]; peak MB")
    for name, timing in found["seconds"].items():
        low, high = timing["quartiles_seconds"]
        ratios = "  ".join(f"{ratio:5.2f}" for ratio in timing["ratios"].values())
        print(
            f"  {ratios}  {timing['median_seconds']:7.3f} [{low:.3f}, {high:.3f}]"
            f"  {found['peak_mb'].get(name) or '-':>6}  {name}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="height x width")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", default=(), choices=list(VARIANTS), metavar="NAME")
    arguments = parser.parse_args()
    measure(arguments.sizes, arguments.rounds, arguments.only)


if __name__ == "__main__":
    main()
