"""What a run leaves: its pictures, losses and manifest, and the time each stage took."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nst_graph.artifacts import RunDirectory
from nst_graph.checkpoint import (
    Progress,
    Saver,
)
from nst_graph.colors import with_chrominance_of
from nst_graph.config import Job
from nst_graph.errors import DivergedError
from nst_graph.images import Picture, profile_name, resize
from nst_graph.ingredients import Reusable
from nst_graph.machine import peak_memory_mb
from nst_graph.pictures import Pictures
from nst_graph.plan import Plan
from nst_graph.precision import resolve_precision
from nst_graph.preprocess import Pixels, to_pixels
from nst_graph.session import environment
from nst_graph.types import (
    FloatArray,
    Step,
    VggWeights,
)


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves.

    Attributes:
        directory: of the results.
        picture: path of the result.
        losses: named terms as last read.
        timings: seconds by stage.
        reusable: for runs with the same weights or the same style.
    """

    directory: Path
    picture: Path
    losses: dict[str, float]
    timings: dict[str, float]
    reusable: Reusable = field(default=Reusable(), repr=False)


class Stopwatch:
    """Seconds by stage: ``lap(name)`` ends a stage.

    Args:
        spent: by an earlier part of the same run; this part's are added to them.
    """

    def __init__(self, spent: Mapping[str, float]) -> None:
        self._last = time.perf_counter()
        self._started = self._last - sum(spent.values())
        self._spent = dict(spent)

    @property
    def seconds(self) -> dict[str, float]:
        """By stage, to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self._spent.items()}

    def lap(self, name: str) -> None:
        current = time.perf_counter()
        self._spent[name] = self._spent.get(name, 0.0) + current - self._last
        self._last = current

    def elapsed(self) -> float:
        return time.perf_counter() - self._started


class Recorder:
    """Puts Steps into the run's directory, each picture fetched only when it is to be saved."""

    def __init__(
        self,
        plan: Plan,
        directory: RunDirectory,
        pictures: Pictures,
        clock: Stopwatch,
        saver: Saver,
        progress: Progress,
    ) -> None:
        self._job = plan.job
        self._directory = directory
        self._pictures = pictures
        self._clock = clock
        self._saver = saver
        self._step: Step | None = None
        self._last: tuple[Step, FloatArray] | None = None
        self._losses = dict(progress.losses)
        self._steps = progress.steps
        self._segments: Counter[str] = Counter(progress.segments)

    def record(self, step: Step) -> None:
        if self._step is None:
            self._clock.lap("first step")
        self._step = step
        self._record(step)
        self._clock.lap("other steps")
        if step.fetch_state is not None and not step.final:
            progress = Progress(
                self._steps, self._losses, dict(self._segments), self._clock.seconds
            )
            self._saver.offer(step, progress)

    def _record(self, step: Step) -> None:
        self._steps += 1
        if step.status is not None:
            self._segments[step.status] += 1
        if step.losses:
            self._losses = dict(step.losses)
            self._directory.add_metrics(step, self._clock.elapsed())
        every = self._job.log.image_every
        to_save = bool(every) and step.iteration % every == 0
        if not (to_save or step.losses or step.final):
            return
        image = self._keep(step)
        if to_save:
            self._directory.save_image(
                self._pixels(image), step.iteration, self._job.picture.format
            )

    def _keep(self, step: Step) -> FloatArray:
        """Make a step's image, or the best one so far, the result; return the step's image."""
        image = step.fetch_image()
        self._last = (step, image if step.best is None else step.best.image)
        return image

    def finish(self) -> RunResult:
        picture = self._save_result()
        self._clock.lap("write results")
        self._complete("finished")
        self._saver.remove()
        return RunResult(self._directory.path, picture, self._losses, self._clock.seconds)

    def abandon(self, error: BaseException) -> None:
        """Keep what there is of a run that was interrupted, diverged, or failed.

        After a failure of the device nothing is asked of it: the last checkpoint and the image that
        was fetched last are what there is.
        """
        status = "failed"
        if isinstance(error, DivergedError):
            status = "diverged"
            self._saver.remove()  # it would diverge again
        elif isinstance(error, KeyboardInterrupt):
            status = "interrupted"
            if self._step is not None:
                self._saver.save()
                self._keep(self._step)
        if self._last is not None:
            self._save_result()
            if isinstance(error, DivergedError):
                error.remedy += "; the last good picture was kept"
        self._complete(status, error=str(error))

    def _save_result(self) -> Path:
        assert self._last is not None
        step, image = self._last
        styles = [style.pixels for style in self._pictures.styles]
        return self._directory.save_result(
            self._pictures.content.pixels,
            styles,
            self._pixels(image),
            step,
            self._job.picture.format,
        )

    def _complete(self, status: str, **facts: Any) -> None:
        self._directory.finish(
            status,
            steps=self._steps,
            losses=self._losses,
            optimizer=self._optimizer_facts(),
            timings_seconds=self._clock.seconds,
            peak_memory_mb=round(peak_memory_mb()),
            **facts,
        )

    def _optimizer_facts(self) -> dict[str, Any]:
        """The manifest's account of the optimiser, as of the last step recorded."""
        if self._last is None:
            return {}
        step, _ = self._last
        facts: dict[str, Any] = {"updates": step.updates}
        if step.evaluations is not None:
            facts |= {"evaluations": step.evaluations, "segments_by_status": dict(self._segments)}
            facts |= {"status": step.status, "message": step.message}
        if step.best is not None:
            facts["best"] = {"iteration": step.best.iteration, "loss": step.best.loss}
        return facts

    def _pixels(self, image: FloatArray) -> Pixels:
        return written_pixels(self._job, self._pictures.content.pixels, image)


def written_pixels(job: Job, content: Pixels, image: FloatArray) -> Pixels:
    """What a run shows of an optimised image: pixels, in the content's colours if so asked for.

    Args:
        job: says how pixels are rounded, and what they take from the image.
        content: uint8 [height, width, 3], of the result's size.
        image: network space, float32 [1, height, width, 3]; smaller in an early stage.
    """
    pixels = to_pixels(image, job.network.channel_order, job.picture.rounding)
    if job.color.transfer == "all":
        return pixels
    height, width, _ = pixels.shape
    return with_chrominance_of(resize(content, (height, width), job.resize_method), pixels)


def facts_of(plan: Plan, pictures: Pictures, weights: VggWeights) -> dict[str, Any]:
    """The manifest's part that is known before the first step."""
    return {
        "job": plan.job.model_dump(mode="json"),
        "job_sha256": plan.job.digest,
        "inputs": {name: _picture_facts(picture) for name, picture in pictures.by_name.items()},
        **_stage_facts(plan),
        "weights": weights.provenance.as_dict(),
        "seed": plan.job.initial_image.seed,
        "environment": {
            **environment(plan.job.session),
            "dtype": resolve_precision(plan.job.session).dtype,
            **{name: version(name) for name in ("tf_keras", "numpy", "scipy", "imageio", "pillow")},
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
        },
    }


def _stage_facts(plan: Plan) -> dict[str, Any]:
    """Sizes and optimisers of a run of several sizes; nothing for one."""
    if not plan.coarser:
        return {}
    return {
        "stages": [
            {
                "content": list(stage.content.shape),
                "style": list(stage.style.shape),
                "optimizer": stage.job.optimizer.model_dump(mode="json"),
            }
            for stage in plan.stages
        ]
    }


def _picture_facts(picture: Picture) -> dict[str, Any]:
    height, width, _ = picture.pixels.shape
    return {
        "path": picture.path,
        "sha256": picture.sha256,
        "height": height,
        "width": width,
        "notes": list(picture.notes),
        "icc_profile": None if picture.icc_profile is None else profile_name(picture.icc_profile),
    }
