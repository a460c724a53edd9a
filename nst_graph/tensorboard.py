"""Scalars, pictures and the graph as an event file, for TensorBoard to show.

The file is written with TensorFlow alone; TensorBoard itself is needed only to look at it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from nst_graph.config import Job
from nst_graph.errors import OutputError
from nst_graph.images import png_bytes
from nst_graph.preprocess import Pixels
from nst_graph.types import FloatArray, Step

tf1 = tf.compat.v1

#: Values of constants up to this size stay in a graph that is shown: shapes, axes, scalars.
LARGEST_CONSTANT = 1024


class EventLog:
    """One event file of a run. Use as a context manager.

    Args:
        directory: what to give to ``tensorboard --logdir``; made if it is not there.
        resume_at: number of the next iteration of a run that goes on: TensorBoard drops what
            earlier files in the directory say of it and of those that follow. None: a new run.

    Raises:
        OutputError: the file cannot be written, here or later on.
    """

    def __init__(self, directory: Path, resume_at: int | None = None) -> None:
        # TensorBoard reads the files of a directory in the order of their names.
        seconds, fraction = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds}.{fraction:09d}.{os.getpid()}.nst_graph"
        self._path = directory / name
        with self._guarded():
            directory.mkdir(parents=True, exist_ok=True)
            self._writer = tf.io.TFRecordWriter(str(self._path))
        self._write(file_version="brain.Event:2")
        if resume_at is not None:
            start = tf1.SessionLog(status=tf1.SessionLog.START)
            self._write(step=resume_at, session_log=start)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            with self._guarded():
                self._writer.close()
        except OutputError:
            if kind is None:  # else what went wrong first is what to tell
                raise

    def add_losses(self, losses: Mapping[str, float], iteration: int) -> None:
        """Add a point to the curve of each loss; the sums go under "loss", layers keep their names.

        Args:
            losses: named terms, as in a ``Step``.
            iteration: of the horizontal axis.
        """
        values = [
            tf1.Summary.Value(tag=name if "/" in name else f"loss/{name}", simple_value=value)
            for name, value in losses.items()
        ]
        self._write(step=iteration, summary=tf1.Summary(value=values))

    def add_picture(self, pixels: Pixels, iteration: int) -> None:
        """Add a picture, uint8 RGB [height, width, 3], to the series "picture"."""
        height, width, channels = pixels.shape
        image = tf1.Summary.Image(
            height=height,
            width=width,
            colorspace=channels,
            encoded_image_string=png_bytes(pixels),
        )
        value = tf1.Summary.Value(tag="picture", image=image)
        self._write(step=iteration, summary=tf1.Summary(value=[value]))

    def add_graph(self, graph: tf.Graph) -> None:
        """Add the graph, without the values of large constants."""
        stripped = without_large_constants(graph.as_graph_def())
        self._write(graph_def=stripped.SerializeToString())

    def _write(self, **fields: Any) -> None:
        event = tf1.Event(wall_time=time.time(), **fields)
        with self._guarded():
            self._writer.write(event.SerializeToString())
            self._writer.flush()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """What the file system refuses, as an OutputError."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise OutputError(
                f"cannot be written ({error})",
                where=str(self._path),
                remedy="check that the folder may be written and has room",
            ) from None


def without_large_constants(graph: Any) -> Any:
    """A copy of a GraphDef whose large constants have lost their values; it can only be looked at.

    A kernel of 9 MB as text makes a page of 38 MB, which no browser shows. The graphs of this
    package hold none, but what others build with ``build_vgg19`` may.

    Args:
        graph: a ``GraphDef``; left as it is.
    """
    copy = tf1.GraphDef()
    copy.CopyFrom(graph)
    functions = (node for function in copy.library.function for node in function.node_def)
    for node in (*copy.node, *functions):
        if node.op == "Const" and node.attr["value"].ByteSize() > LARGEST_CONSTANT:
            tensor = node.attr["value"].tensor
            removed = tensor.ByteSize()
            dtype, shape = tensor.dtype, tensor.tensor_shape
            node.attr["value"].tensor.CopyFrom(
                type(tensor)(
                    dtype=dtype,
                    tensor_shape=shape,
                    tensor_content=f"<{removed} bytes removed>".encode(),
                )
            )
    return copy


@contextmanager
def event_watcher(
    directory: Path,
    job: Job,
    graph: Callable[[], tf.Graph | None],
    show: Callable[[FloatArray], Pixels],
    resume_at: int | None = None,
) -> Iterator[Callable[[Step], None]]:
    """A watcher that writes what a job logs into ``directory/tensorboard``, if the job asks for it.

    Args:
        directory: of the run.
        job: its ``log`` says what is written and how often.
        graph: asked after the first step, when it is complete; None where there is none.
        show: makes pixels of an image in network space.
        resume_at: as of ``EventLog``; the graph is there already.

    Raises:
        OutputError: the file cannot be written.
    """
    if not job.log.tensorboard:
        yield lambda step: None
        return
    begun, every = resume_at is not None, job.log.image_every

    def watch(step: Step) -> None:
        nonlocal begun
        if not begun and (complete := graph()) is not None:
            events.add_graph(complete)
        begun = True
        if step.losses:
            events.add_losses(step.losses, step.iteration)
        if step.final or (every and step.iteration % every == 0):
            events.add_picture(show(step.fetch_image()), step.iteration)

    with EventLog(directory / "tensorboard", resume_at) as events:
        yield watch
