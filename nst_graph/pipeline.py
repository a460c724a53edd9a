"""One job from plan to picture: the story, top to bottom."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nst_graph.animation import write_animation
from nst_graph.artifacts import LOG, RunDirectory, check_output
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
from nst_graph.claim import check_unclaimed
from nst_graph.config import Job
from nst_graph.engines import Engine, Ingredients, open_engine
from nst_graph.errors import (
    CapacityError,
    DeviceError,
    DivergedError,
    NstGraphError,
    OutputError,
)
from nst_graph.failures import told_failures
from nst_graph.ingredients import Reusable, ingredients_of
from nst_graph.interruption import Interrupted, StopRequest, stop_request
from nst_graph.jobs import to_yaml
from nst_graph.pictures import Pictures, read_pictures
from nst_graph.plan import Plan, settled
from nst_graph.precision import resolve_precision
from nst_graph.recording import Recorder, RunResult, Stopwatch, facts_of, written_pixels
from nst_graph.session import device_text, session_config
from nst_graph.stages import resized, steps_of_stage
from nst_graph.tensorboard import event_watcher
from nst_graph.types import (
    OptimizerState,
    StageStart,
    Step,
)
from nst_graph.weights import load

_LOG = logging.getLogger(__name__)

#: Called with each Step as it is made; raising from it stops the run.
Watcher = Callable[[Step], None]


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
        plan: from ``make_plan``, ``plan_to_resume`` or ``plan_rerun``.
        watch: sees each Step after the run's directory has recorded it.
        overwrite: replace a run that is in the output directory.
        reuse: of an earlier run, what is the same in this one.
        resume: go on with the interrupted run that is in the output directory.

    Raises:
        OutputError: the output directory cannot be used; nothing in it was touched. Or a file of
            the run cannot be written; the last checkpoint stays.
        CapacityError: the job needs more memory than there is, or memory ran out.
        WeightsError, PictureError: an input turned out bad when it was read.
        DeviceError: the device asked for is not there, or TensorFlow failed.
        DivergedError: a loss became NaN or infinite; the last good picture, if any, is saved.
        Interrupted: by a signal.
    """
    checkpoint = None
    if resume:
        check_unclaimed(plan.output / LOG)
        checkpoint = load_checkpoint(plan.output)
        check_job(checkpoint, plan.job, plan.output)
    else:
        check_output(plan.output, overwrite=overwrite, job_sha256=plan.job.digest)
    with stop_request() as stop, told_failures(plan.job):
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
    if checkpoint:  # the last bits depend on how a step is computed
        plan = settled(plan, checkpoint.facts.get("memory"))
    decided, memory = decide_memory(plan, begun=checkpoint is not None)
    pictures = read_pictures(plan)
    clock.lap("read pictures")
    weights = reuse.weights or load(plan.weights, pictures.for_weights)
    clock.lap("load weights")
    facts = {**facts_of(plan, pictures, weights), "memory": memory}
    profile = pictures.content.icc_profile
    directory = _open_directory(plan, facts, checkpoint, profile, overwrite=overwrite)
    with closing(directory), _advice(directory.path):
        directory.note(f"weights: {weights.provenance.description}")
        if notice := resolve_precision(job.session).notice:
            directory.note(notice)
        directory.note(f"device: {device_text(job.session)}")
        directory.note("memory: " + ", ".join(f"{name} {value}" for name, value in memory.items()))
        stages = _Stages(decided, pictures, replace(reuse, weights=weights), directory, clock)
        first = checkpoint.state.next_iteration if checkpoint else job.log.first_iteration
        saver = Saver(directory.path, job.checkpoint, facts, first)
        progress = checkpoint.progress if checkpoint else Progress()
        recorder = Recorder(plan, directory, pictures, clock, saver, progress)
        show = partial(written_pixels, job, pictures.content.pixels)
        resume_at = first if checkpoint else None
        with stop.deferred():
            with (
                closing(stages.steps(checkpoint.state if checkpoint else None)) as steps,
                event_watcher(
                    directory.path, job, lambda: stages.graph, show, resume_at
                ) as watch_events,
            ):
                _follow(steps, (watch_events, watch), recorder, stop, decided.job)
            result = replace(recorder.finish(), reusable=stages.reusable)
        _animate(directory, job.log.animation, stop)
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
                    yield from self._engine.optimise(stage.job.optimizer, job.log, state)
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
    steps: Iterable[Step],
    watchers: Sequence[Watcher],
    recorder: Recorder,
    stop: StopRequest,
    job: Job,
) -> None:
    """Record the steps and show them, until they end or someone asks for the end."""
    try:
        with told_failures(job):
            for step in steps:
                recorder.record(step)
                for watch in watchers:
                    watch(step)
                if stop.signum is not None and not step.final:
                    recorder.abandon(Interrupted(stop.signum))
                    stop.check()
    except Interrupted:
        raise  # it is dealt with, or it is the second one: at once
    except (DivergedError, CapacityError, DeviceError, KeyboardInterrupt) as error:
        recorder.abandon(error)
        raise


def _animate(directory: RunDirectory, kind: str, stop: StopRequest) -> None:
    """Make the animation that a job asks for; the run is finished, whatever comes of it."""
    if kind == "none":
        return
    try:
        stop.check()
        write_animation(directory.path, kind)
        return
    except NstGraphError as error:
        text = " ".join(str(error).split())
    except MemoryError:
        text = "memory ran out"
    except KeyboardInterrupt as signal:
        text = f"interrupted {signal}; go on: nst-graph animate {directory.path} --format {kind}"
    _LOG.warning("notice: the run is finished, without its animation: %s", text)
    with suppress(OutputError):
        directory.note(f"no animation: {text}")


__all__ = ["Reusable", "RunResult", "Watcher", "run"]
