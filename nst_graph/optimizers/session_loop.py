"""The optimisers that live in the graph: one session run for each image update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from nst_graph.config import AdamSettings, LogSettings, SgdSettings
from nst_graph.optimizers.update_loop import update_loop
from nst_graph.preprocess import channel_means
from nst_graph.problem import Problem, as_floats
from nst_graph.types import ChannelOrder, OptimizerState, Step

tf1 = tf.compat.v1


#: Adds the op that applies ``problem.gradient`` to ``problem.image``.
BuildUpdate = Callable[[Problem, Any], tf.Operation]


class SessionUpdater:
    """An ``Updater``: a problem's session, and the op that updates its image.

    The op is added to the graph, clipping included, and the problem is started.

    Args:
        problem: not started yet.
        build_update: of the optimiser.
        settings: of the optimiser.
    """

    def __init__(
        self, problem: Problem, build_update: BuildUpdate, settings: AdamSettings | SgdSettings
    ) -> None:
        with problem.graph.as_default():
            others = {variable.ref() for variable in tf1.global_variables()}
        update = add_update_to(problem, build_update, settings)
        with problem.graph.as_default():
            added = [each for each in tf1.global_variables() if each.ref() not in others]
        self._variables = {"image": problem.image, **{each.op.name: each for each in added}}
        problem.start()
        self._session = problem.session
        self._run = problem.session.make_callable(update)
        self._run_and_read = problem.session.make_callable((update, problem.terms))
        self.read_losses = problem.read_losses
        self.read_image = problem.read_image

    def update(self) -> None:
        self._run()

    def update_and_read(self) -> dict[str, float]:
        return as_floats(self._run_and_read()[1])

    def read_variables(self) -> dict[str, npt.NDArray[Any]]:
        values: dict[str, npt.NDArray[Any]] = self._session.run(self._variables)
        return values

    def restore_variables(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        # The graph is final; each variable's initializer assigns what its value input is fed.
        initializers = {name: each.initializer for name, each in self._variables.items()}
        feeds = {initializers[name].inputs[1]: values[name] for name in self._variables}
        self._session.run(list(initializers.values()), feeds)


def session_loop(
    problem: Problem,
    build_update: BuildUpdate,
    settings: AdamSettings | SgdSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """Minimise the problem's total loss; Steps as of ``update_loop``.

    Args:
        problem: not started yet.
        build_update: of the optimiser.
        settings: number of steps, clipping, and which image to keep.
        log: when to read losses.
        state: of an earlier optimisation that this one continues; None: from the beginning.

    Raises:
        DivergedError: a loss that was read is NaN or infinite.
    """
    updater = SessionUpdater(problem, build_update, settings)
    yield from update_loop(updater, settings, log, state)


def add_update_to(
    problem: Problem, build_update: BuildUpdate, settings: AdamSettings | SgdSettings
) -> tf.Operation:
    """The op of one update and its clipping, in the name scope "optimizer"."""
    with problem.graph.as_default(), tf1.name_scope("optimizer"):
        return _clipped(build_update(problem, settings), problem, settings.clip)


def clip_bounds(clip: str, order: ChannelOrder) -> tuple[Any, Any]:
    """Lowest and highest values that clipping leaves, each a number or one for each channel.

    Args:
        clip: "pixels": [-mean, 255 - mean], what pixels of 0..255 become (``tf_eager``);
            "preprocessed": [0, 255] with the mean already subtracted, which cuts every pixel below
            the mean (``tf2_blog``).
        order: of the image's channels.
    """
    if clip == "pixels":
        means = channel_means(order)
        return -means, 255 - means
    return 0.0, 255.0


def _clipped(update: tf.Operation, problem: Problem, clip: str | None) -> tf.Operation:
    if clip is None:
        return update
    low, high = clip_bounds(clip, problem.channel_order)
    with tf.control_dependencies([update]):
        # A read of its own, made after the update: the one that the network uses came before it.
        updated = problem.image.read_value()
    return problem.image.assign(tf.clip_by_value(updated, low, high), read_value=False)
