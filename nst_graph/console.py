"""What the command lines share on the terminal: the progress of a download and of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from nst_graph.types import Step
    from nst_graph.weights.transfer import Progress

_LINE_EVERY_PERCENT = 10
_LINE_EVERY_BYTES = 50_000_000  # where the length is not known


@contextmanager
def download_progress(console: Console, description: str = "") -> Iterator[Progress]:
    """Show a download: a bar with MB, speed and time left; off a terminal a line every 10 %.

    Yields:
        The callback to hand to ``download``.
    """
    if not console.is_terminal:
        yield _lines(console, description)
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console) as bar:
        yield _bar(bar, description)


def _bar(bar: Bar, description: str) -> Progress:
    task = bar.add_task(description, total=None, start=False)
    last = -1

    def show(done: int, total: int | None) -> None:
        nonlocal last
        if last < 0 or done < last:
            # Bytes of an earlier attempt, or a new beginning, must not count as speed.
            bar.reset(task, total=total, completed=done)
        else:
            bar.update(task, total=total, completed=done)
        last = done

    return show


def _lines(console: Console, description: str) -> Progress:
    last = -1

    def show(done: int, total: int | None) -> None:
        nonlocal last
        mark = done * 100 // total // _LINE_EVERY_PERCENT if total else done // _LINE_EVERY_BYTES
        if mark == last:
            return
        last = mark
        if total:
            amount = f"{mark * _LINE_EVERY_PERCENT:3d} % of {total / 1e6:.1f} MB"
        else:
            amount = f"{done / 1e6:.1f} MB"
        console.print(f"{description} {amount}".strip(), markup=False, highlight=False)

    return show


@contextmanager
def step_progress(console: Console, budget: int) -> Iterator[Callable[[Step], None]]:
    """Show a run: a bar with time left and the losses; off a terminal a line per logged step.

    Args:
        console: where.
        budget: evaluations of loss and gradient that are planned; a run may make a few more, or
            end before.

    Yields:
        The callback that sees each Step.
    """
    if not console.is_terminal:
        yield lambda step: _print_step(console, step)
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("evaluation"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[losses]}", markup=False),
    )
    with rich_progress.Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=budget, losses="building the graph")

        def show(step: Step) -> None:
            if step.losses:
                bar.update(task, losses=_losses_text(step.losses))
            done = step.updates if step.evaluations is None else step.evaluations
            bar.update(task, completed=budget if step.final else min(done, budget))

        yield show


@contextmanager
def stage_progress(console: Console) -> Iterator[Callable[[str, str], None]]:
    """Show what is being done: a line that changes; off a terminal a line for each stage.

    Yields:
        The callback that takes a stage, such as "measuring", and how far it is, such as "3 of 20".
    """
    if console.is_terminal:
        with console.status("") as status:
            yield lambda stage, detail: status.update(f"{stage} {detail}".rstrip())
        return
    shown = ""

    def show(stage: str, detail: str) -> None:
        nonlocal shown
        if stage != shown:
            console.print(stage, markup=False, highlight=False, soft_wrap=True)
        shown = stage

    yield show


def _print_step(console: Console, step: Step) -> None:
    if step.losses:
        text = f"iteration {step.iteration}: {_losses_text(step.losses)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _losses_text(losses: Mapping[str, float]) -> str:
    """The summed terms only; each layer's own are in metrics.csv."""
    return "  ".join(f"{name} {value:.6g}" for name, value in losses.items() if "/" not in name)
