"""One job from plan to picture: the story, top to bottom."""

from __future__ import annotations

import logging
import platform
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nst_graph.animation import write_animation
from nst_graph.artifacts import RunDirectory, check_output
from nst_graph.capacity import decide_memory, target_tile_of
from nst_graph.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    Progress,
    Saver,
    check_facts,
    check_job,
    load_checkpoint,
)
from nst_graph.colors import with_chrominance_of
from nst_graph.config import Job
from nst_graph.engines import Engine, Ingredients, open_engine
from nst_graph.errors import DivergedError, OutputError
from nst_graph.images import Picture, profile_name, resize
from nst_graph.interruption import Interrupted, StopRequest, stop_request
from nst_graph.jobs import to_yaml
from nst_graph.machine import cpu_model
from nst_graph.objective import Objective
from nst_graph.pictures import Pictures, read_pictures
from nst_graph.plan import Plan
from nst_graph.precision import resolve_precision
from nst_graph.preprocess import Pixels, initial_image, to_network, to_pixels
from nst_graph.regions import blended, guides, region_names
from nst_graph.session import device_text, environment, session_config
from nst_graph.stages import resized, steps_of_stage
from nst_graph.target_cache import CachedTargets
from nst_graph.targets import TargetNetwork
from nst_graph.tensorboard import event_watcher
from nst_graph.types import (
    FloatArray,
    OptimizerState,
    Region,
    StageStart,
    Step,
    StyleTarget,
    Targets,
    VggWeights,
)
from nst_graph.weights import load

_LOG = logging.getLogger(__name__)

#: Called with each Step as it is made; raising from it stops the run.
Watcher = Callable[[Step], None]


@dataclass(frozen=True)
class Reusable:
    """What one run can take over from another, so that it is read and computed once.

    Attributes:
        weights: as loaded; None: to be loaded.
        style: targets of the styles, for the plan's style layers, network and weights; those of the
            content are left out. None: to be computed.
        tile_size: of the tiles in which ``style`` was computed, which decide its last bits.
    """

    weights: VggWeights | None = None
    style: Targets | None = None
    tile_size: int | None = None

    def style_in(self, tile_size: int | None) -> Targets | None:
        """``style``, if that is how it was computed."""
        return self.style if tile_size == self.tile_size else None


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


def run(
    plan: Plan,
    watch: Watcher = lambda step: None,
    *,
    overwrite: bool = False,
    reuse: Reusable | None = None,
    resume: bool = False,
) -> RunResult:
    """Carry out a plan and write its results.

    SIGINT and SIGTERM end it after the step in progress, with checkpoint and picture written.

    Args:
        plan: from ``make_plan``.
        watch: sees each Step after the run's directory has recorded it.
        overwrite: replace a run that is in the output directory.
        reuse: of an earlier run, what is the same in this one.
        resume: go on with the interrupted run that is in the output directory.

    Raises:
        OutputError: the output directory cannot be used; nothing in it was touched. Or a file of
            the run cannot be written; the last checkpoint stays.
        CapacityError: the job needs more memory than there is.
        WeightsError, PictureError, DeviceError: an input turned out bad when it was read.
        DivergedError: a loss became NaN or infinite; the last good picture is saved.
        Interrupted: by a signal.
    """
    checkpoint = None
    if resume:
        checkpoint = load_checkpoint(plan.output)
        check_job(checkpoint, plan.job, plan.output)
    else:
        check_output(plan.output, overwrite=overwrite, job_sha256=plan.job.digest)
    with stop_request() as stop:
        stop.check()
        return _run(plan, watch, stop, checkpoint, reuse or Reusable(), overwrite=overwrite)


def _run(
    plan: Plan,
    watch: Watcher,
    stop: StopRequest,
    checkpoint: Checkpoint | None,
    reuse: Reusable,
    *,
    overwrite: bool,
) -> RunResult:
    job, clock = plan.job, Stopwatch(checkpoint.progress.timings if checkpoint else {})
    decided, memory = decide_memory(plan, checkpoint.facts.get("memory") if checkpoint else None)
    pictures = read_pictures(plan)
    clock.lap("read pictures")
    weights = reuse.weights or load(plan.weights, pictures.for_weights)
    clock.lap("load weights")
    facts = {**_facts(plan, pictures, weights), "memory": memory}
    profile = pictures.content.icc_profile
    directory = _open_directory(plan, facts, checkpoint, profile, overwrite=overwrite)
    with _advice(directory.path):
        directory.note(f"weights: {weights.provenance.description}")
        if notice := resolve_precision(job.session).notice:
            directory.note(notice)
        directory.note(f"device: {device_text(job.session)}")
        directory.note("memory: " + ", ".join(f"{name} {value}" for name, value in memory.items()))
        stages = _Stages(decided, pictures, replace(reuse, weights=weights), directory, clock)
        saver = Saver(directory.path, job.checkpoint, facts)
        progress = checkpoint.progress if checkpoint else Progress()
        recorder = _Recorder(plan, directory, pictures, clock, saver, progress)
        show = partial(written_pixels, job, pictures.content.pixels)
        with (
            closing(stages.steps(checkpoint.state if checkpoint else None)) as steps,
            event_watcher(directory.path, job, lambda: stages.graph, show) as watch_events,
        ):
            _follow(steps, (watch_events, watch), recorder, stop)
        result = replace(recorder.finish(), reusable=stages.reusable)
    if job.log.animation != "none":
        write_animation(directory.path, job.log.animation)
    return result


class _Stages:
    """The stages of a plan, one after another, as one stream of Steps.

    Args:
        plan: of the run.
        pictures: of the last stage.
        reuse: weights; style targets of the last stage, where they are there already.
        directory: its log tells of each stage.
        clock: of the run.

    Attributes:
        reusable: weights, and style targets of the last stage once it has begun.
    """

    def __init__(
        self,
        plan: Plan,
        pictures: Pictures,
        reuse: Reusable,
        directory: RunDirectory,
        clock: Stopwatch,
    ) -> None:
        self._plan = plan
        self._finest = pictures
        self.reusable = reuse
        self._directory = directory
        self._clock = clock
        self._engine: Engine | None = None

    @property
    def graph(self) -> Any:
        """The graph that the steps run; None where there is none."""
        return None if self._engine is None else self._engine.graph

    def steps(self, state: OptimizerState | None) -> Generator[Step, None, None]:
        """Steps from a state on; None: from the beginning."""
        job, stages = self._plan.job, self._plan.stages
        for index in range(state.stage.index if state else 0, len(stages)):
            stage, last = stages[index], index + 1 == len(stages)
            ingredients = self._ingredients(stage, state, last=last)
            with open_engine(job.engine, ingredients, stage.job.session) as self._engine:
                self._clock.lap("build")
                if len(stages) == 1:
                    yield from self._engine.optimise(job.optimizer, job.log, state)
                    return
                for step in self._steps_of(stage, self._engine, state, last=last):
                    yield step
                if not last:
                    assert step.fetch_state is not None
                    state = step.fetch_state()

    def _steps_of(
        self, stage: Plan, engine: Engine, state: OptimizerState | None, *, last: bool
    ) -> Iterator[Step]:
        """Steps of one stage of several."""
        start = state.stage if state else StageStart(iteration=stage.job.log.first_iteration)
        height, width = stage.content.shape
        work = stage.job.optimizer.describe()
        self._directory.note(f"stage {start.index + 1}: {width}x{height}, {work}")
        log = stage.job.log.model_copy(update={"first_iteration": start.iteration})
        going = None if state is None or state.begins else state
        steps = engine.optimise(stage.job.optimizer, log, going)
        return steps_of_stage(steps, start, last=last)

    def _ingredients(self, stage: Plan, state: OptimizerState | None, *, last: bool) -> Ingredients:
        weights, tile_size = self.reusable.weights, target_tile_of(stage)
        assert weights is not None
        pictures = self._finest if last else read_pictures(stage)
        style = self.reusable.style_in(tile_size) if last else None
        config = session_config(stage.job.session)
        ingredients = ingredients_of(stage, pictures, weights, config, style)
        if state is not None and state.begins:
            image = resized(state.variables["image"], *stage.content.shape)
            ingredients = replace(ingredients, initial=image)
        if last:
            targets = replace(ingredients.targets, content={})
            self.reusable = Reusable(weights, targets, tile_size)
        self._clock.lap("compute targets")
        return ingredients


def _open_directory(
    plan: Plan,
    facts: Mapping[str, Any],
    checkpoint: Checkpoint | None,
    icc_profile: bytes | None,
    *,
    overwrite: bool,
) -> RunDirectory:
    """The run's directory, new or with what the run has left in it."""
    if checkpoint is None:
        directory = RunDirectory(plan.output, facts, overwrite=overwrite, icc_profile=icc_profile)
        directory.save_job(to_yaml(plan.job))
        return directory
    differences = check_facts(checkpoint, facts, plan.output)
    resume_at = checkpoint.state.next_iteration
    directory = RunDirectory(plan.output, facts, resume_at=resume_at, icc_profile=icc_profile)
    if differences:
        text = f"results may differ in the last bits, for the environment does: {differences}"
        directory.note(text)
        _LOG.warning("notice: %s", text)
    return directory


@contextmanager
def _advice(directory: Path) -> Iterator[None]:
    """Tell what to do after a file of the run could not be written."""
    try:
        yield
    except OutputError as error:
        begun = (directory / CHECKPOINT).is_file()
        onward = f"go on: nst-graph resume {directory}" if begun else "run it with --overwrite"
        error.remedy += f"; then {onward}"
        raise


def _follow(
    steps: Iterable[Step], watchers: Sequence[Watcher], recorder: _Recorder, stop: StopRequest
) -> None:
    """Record the steps and show them, until they end or someone asks for the end."""
    try:
        with stop.deferred():
            for step in steps:
                recorder.record(step)
                for watch in watchers:
                    watch(step)
                if stop.signum is not None and not step.final:
                    recorder.abandon(Interrupted(stop.signum))
                    stop.check()
    except Interrupted:
        raise  # it is dealt with, or it is the second one: at once
    except (DivergedError, KeyboardInterrupt) as error:
        recorder.abandon(error)
        raise


def prepare(plan: Plan) -> Ingredients:
    """What an engine starts from, for those who make no run directory.

    Raises:
        WeightsError, PictureError, DeviceError: an input turned out bad when it was read.
    """
    pictures = read_pictures(plan)
    weights = load(plan.weights, pictures.for_weights)
    return ingredients_of(plan, pictures, weights, session_config(plan.job.session))


def ingredients_of(
    plan: Plan,
    pictures: Pictures,
    weights: VggWeights,
    config: Any = None,
    style: Targets | None = None,
) -> Ingredients:
    """Initial image, kernels, targets and objective; targets that are not given are computed."""
    targets = precompute_targets(plan, pictures, weights, config, style)
    return Ingredients(initial_image_of(plan, pictures), weights, targets, objective_of(plan))


def precompute_targets(
    plan: Plan,
    pictures: Pictures,
    weights: VggWeights,
    config: Any = None,
    style: Targets | None = None,
) -> Targets:
    """Targets of the plan's pictures, by session runs on a network of their own.

    Args:
        plan: whose network, layers and shares of the styles count.
        pictures: of the plan.
        weights: kernels.
        config: ConfigProto of the session.
        style: targets of another content picture with the same styles, which are taken over.
    """
    job, order = plan.job, plan.job.network.channel_order

    def open_network() -> TargetNetwork:
        return TargetNetwork(
            weights.in_channel_order(order),
            job.network.pooling,
            job.network.padding,
            job.content_layers,
            job.style_layers,
            config,
            target_tile_of(plan),
        )

    with CachedTargets(open_network, _what_decides_targets(plan, weights)) as network:
        content = network.content(to_network(pictures.content.pixels, order))
        if style is not None:
            return replace(style, content=content)
        found = [network.style(to_network(picture.pixels, order)) for picture in pictures.styles]
    return _of_styles(plan, pictures, content, found)


def _of_styles(
    plan: Plan,
    pictures: Pictures,
    content: Mapping[str, FloatArray],
    found: Sequence[Mapping[str, StyleTarget]],
) -> Targets:
    """Targets of a content picture and of several styles, blended or each in its region."""
    job = plan.job
    shares = [source.share for source in plan.styles]
    if not pictures.regions:
        return Targets(content, blended(found, shares))
    names = region_names(source.picture.name for source in plan.styles)
    channels = [guides(mask, job.style_layers, job.network.padding) for mask in pictures.regions]
    return Targets(content, {}, tuple(map(Region, names, shares, channels, found)))


def _what_decides_targets(plan: Plan, weights: VggWeights) -> dict[str, Any]:
    """All that a target depends on beside its picture, to the last bit."""
    job = plan.job
    machine = environment(job.session)
    return {
        "kernels": weights.provenance.sha256,
        "network": job.network.model_dump(mode="json"),
        "content_layers": sorted(job.content_layers),
        "style_layers": sorted(job.style_layers),
        "tile_size": target_tile_of(plan),
        "tensorflow": machine["tensorflow"],
        "onednn": machine["onednn"],
        "threads": machine["threads"],
        "deterministic": job.session.deterministic,
        "device": [machine["device"], *machine["device_names"], cpu_model()],
    }


def objective_of(plan: Plan) -> Objective:
    job = plan.job
    return Objective(job.network, job.content_layers, job.style_layers, job.losses)


def initial_image_of(plan: Plan, pictures: Pictures) -> FloatArray:
    """The image the plan starts from, float32 [1, height, width, 3]."""
    start, order = plan.job.initial_image, plan.job.network.channel_order
    if pictures.initial is not None:
        return to_network(pictures.initial.pixels, order)
    image = to_network(pictures.content.pixels, order)
    return initial_image(start.kind, image, start.seed, start.noise_ratio)


class _Recorder:
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
        """Keep what there is of a run that was interrupted or diverged."""
        interrupted = isinstance(error, KeyboardInterrupt)
        if not interrupted:
            self._saver.remove()  # it would diverge again
        elif self._step is not None:
            self._saver.save()
            self._keep(self._step)
        if self._last is not None:
            self._save_result()
        self._complete("interrupted" if interrupted else "diverged", error=str(error))

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
            peak_memory_mb=_peak_memory_mb(),
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


def _facts(plan: Plan, pictures: Pictures, weights: VggWeights) -> dict[str, Any]:
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


def _peak_memory_mb() -> int:
    """Largest resident size of this process so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20) if sys.platform == "darwin" else peak >> 10
