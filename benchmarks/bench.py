"""All benchmarks, written to benchmarks/results.json and as tables into docs/speed.md.

    python benchmarks/bench.py [--rounds 9] [--content FILE --style FILE --weights FILE]
                               [--only start_up steps reach_loss]

It takes about half an hour on two cores. Without pictures and weights the way to a loss is measured
on the embedded pictures and random kernels. Keep the machine idle: its load is written down with
each part. ``--only`` measures some parts anew and leaves the others in the file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import reach_loss
import start_up
import steps

from nst_graph.files import replace_file, write_json
from nst_graph.machine import cpu_model

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
PARTS = ("start_up", "steps", "reach_loss")
BEGIN, END = "<!-- benchmark: begin -->\n", "<!-- benchmark: end -->\n"


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    packages = ["tensorflow", "numpy", "scipy"]
    if importlib.util.find_spec("torch") is not None:
        packages.append("torch")
    return {
        "date": dt.date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def page_of(found: dict[str, Any]) -> str:
    """The tables, as Markdown."""
    host, start = found["machine"], found["start_up"]
    torch = f", PyTorch {host['torch']}" if "torch" in host else ""
    loads = ", ".join(f"{part} {found[part]['load_before']}" for part in PARTS)
    lines = [
        f"{host['cpu']}, {host['cores']} cores, TensorFlow {host['tensorflow']}{torch}, "
        f"{host['date']}; load of the machine before each part: {loads}. Written by `make bench`; "
        "all figures: [results.json](../benchmarks/results.json).",
        "",
        *_step_table(found["steps"]),
        "",
        *_way_table(found["reach_loss"]),
        "",
        f"From the start of the process to the first step, {start['size']}: {start['first']:.1f} s "
        f"the first time, {start['second']:.1f} s with weights and targets in the cache "
        f"({start['ratio']:.2f}).",
        "",
    ]
    return "\n".join(lines)


def _step_table(found: dict[str, Any]) -> list[str]:
    sizes = found["sizes"]
    variants = next(iter(sizes.values()))["seconds"]
    lines = [
        "| a step, ratio to plain v1 (seconds; peak memory) | " + " | ".join(sizes) + " |",
        "|---|" + "---|" * len(sizes),
    ]
    for name in variants:
        cells = []
        for size in sizes.values():
            timing, peak = size["seconds"][name], size["peak_mb"].get(name)
            memory = f"; {peak} MB" if peak else ""
            ratio = timing["ratios"][steps.REFERENCE]
            cells.append(f"{ratio:.2f} ({timing['median_seconds']:.2f} s{memory})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    left_out = [f"{name}: left out, {reason}." for name, reason in found["left_out"].items()]
    return [*lines, "", *left_out]


def _way_table(found: dict[str, Any]) -> list[str]:
    lines = [
        f"| to the loss of 200 Adam steps, {found['size']} | ratio of time | seconds | evaluations "
        "at the last size |",
        "|---|---|---|---|",
    ]
    for name, way in found["ways"].items():
        count = way["evaluations"] or "not reached"
        lines.append(f"| {name} | {way['ratio']:.3f} | {way['seconds']:.0f} | {count} |")
    return lines


def write_page(text: str) -> None:
    """Put the tables between the page's marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    replace_file(PAGE, f"{before}{BEGIN}{text}{END}{after}".encode())


def _measure(part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    if part == "start_up":
        found = start_up.measure("300x400", None)
        print(f"start-up: {found['ratio']:.2f} of the first start's {found['first']:.1f} s")
        return found
    if part == "steps":
        return steps.measure(arguments.sizes, arguments.rounds)
    return reach_loss.measure(
        reach_loss.settings_of(arguments.content, arguments.style, arguments.weights)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", nargs="+", default=steps.SIZES, help="height x width")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--content", help="a picture; default: embedded")
    parser.add_argument("--style", help="a picture; default: embedded")
    parser.add_argument("--weights", help="a .mat or .h5 file; default: what is in pretrained/")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    if set(arguments.only) < set(PARTS) and RESULTS.is_file():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    found["machine"] = machine()
    for part in arguments.only:
        load_before = round(os.getloadavg()[0], 2)
        found[part] = {"load_before": load_before, **_measure(part, arguments)}
        write_json(RESULTS, found)
    if set(PARTS) <= set(found):
        write_page(page_of(found))
        print(RESULTS, PAGE, sep="\n")


if __name__ == "__main__":
    main()
