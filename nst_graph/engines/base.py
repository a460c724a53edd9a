"""What an engine is: one problem, held and optimised in TensorFlow's graph, function or eager mode.

Only NumPy and settings go into an engine and come out of it.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nst_graph.config import AdamSettings, LogSettings, OptimizerSettings, SgdSettings
from nst_graph.objective import Objective
from nst_graph.optimizers.update_loop import Updater
from nst_graph.types import FloatArray, OptimizerState, Step, Targets, VggWeights


@dataclass(frozen=True)
class Ingredients:
    """What every engine starts from.

    Attributes:
        initial: image in network space, float32 [1, height, width, 3].
        weights: kernels.
        targets: precomputed, for the objective's layers.
        objective: what is minimised.
    """

    initial: FloatArray
    weights: VggWeights
    targets: Targets
    objective: Objective


class Engine(ABC):
    """One problem in one engine, for one optimisation: ``optimise`` or ``updater`` is called once.

    Use as a context manager; what the engine holds goes when it is left.
    """

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
        # Graphs and Keras models are cycles of a few objects that hold hundreds of megabytes. The
        # collector counts objects; left to itself it let several jobs' worth of them pile up.
        gc.collect()

    @abstractmethod
    def close(self) -> None:
        """Release graph and session, or model and variables."""

    @abstractmethod
    def optimise(
        self, settings: OptimizerSettings, log: LogSettings, state: OptimizerState | None = None
    ) -> Iterator[Step]:
        """Minimise the total loss; Steps as of the optimiser.

        Args:
            settings: of the optimiser.
            log: when to read losses.
            state: of the same optimisation, from a Step, to go on from; None: begin with the
                initial image.

        Raises:
            DivergedError: a loss or a gradient is NaN or infinite.
        """

    @abstractmethod
    def updater(self, settings: AdamSettings | SgdSettings) -> Updater:
        """The initial image and the update that ``optimise`` would repeat."""

    @abstractmethod
    def loss_and_gradient(self, image: FloatArray) -> tuple[dict[str, float], FloatArray]:
        """Named losses and the gradient of their total at ``image``; nothing is updated.

        Args:
            image: network space, float32 [1, height, width, 3].
        """

    @property
    @abstractmethod
    def graph(self) -> Any:
        """The ``tf.Graph`` that an update runs, once it is built; None where there is none."""
