"""Event files: what TensorBoard will find in them."""

from __future__ import annotations

import io
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nst_graph.errors import OutputError
from nst_graph.images import read_picture
from nst_graph.jobs import make_job
from nst_graph.pipeline import RunResult, run
from nst_graph.plan import make_plan
from nst_graph.tensorboard import LARGEST_CONSTANT, EventLog, without_large_constants

pytestmark = pytest.mark.tensorflow

tf1 = tf.compat.v1


def run_of(folder: Path, engine: str = "graph", **settings: object) -> RunResult:
    job = {
        "recipe": "keras_io",
        "content": "embedded:landscape",
        "style": "embedded:painting",
        "size": 48,
        "style_size": None,
        "output": str(folder / engine),
        "weights": {"source": "random"},
        "optimizer": {"name": "adam", "steps": 5},
        "log": {"losses_every": 2, "image_every": 4, "tensorboard": True},
        "engine": engine,
        **settings,
    }
    return run(make_plan(make_job(job)))


def events_of(directory: Path) -> list[Any]:
    (path,) = (directory / "tensorboard").iterdir()
    return [tf1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]


def values_of(events: list[Any], tag: str) -> dict[int, Any]:
    return {
        event.step: value for event in events for value in event.summary.value if value.tag == tag
    }


def graph_of(events: list[Any]) -> Any:
    (graph,) = (event.graph_def for event in events if event.graph_def)
    return tf1.GraphDef.FromString(graph)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_of(tmp_path_factory.mktemp("events"))


def test_scalars_are_the_logged_losses(finished: RunResult) -> None:
    events = events_of(finished.directory)
    assert events[0].file_version == "brain.Event:2"
    totals = values_of(events, "loss/total")
    assert sorted(totals) == [2, 4, 5]
    assert totals[5].simple_value == pytest.approx(finished.losses["total"], rel=1e-6)
    tags = {value.tag for event in events for value in event.summary.value}
    assert {"loss/content", "loss/style", "loss/total_variation", "style/relu1_1"} <= tags


def test_pictures_are_those_of_the_run(finished: RunResult) -> None:
    pictures = values_of(events_of(finished.directory), "picture")
    assert sorted(pictures) == [4, 5]
    encoded = pictures[5].image.encoded_image_string
    shown = np.array(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(shown, read_picture(finished.picture).pixels)
    assert (pictures[5].image.height, pictures[5].image.width) == shown.shape[:2]


@pytest.mark.parametrize("engine", ["graph", "function"])
def test_the_graph_has_readable_scopes_and_is_small(
    engine: str, finished: RunResult, tmp_path: Path
) -> None:
    directory = finished.directory if engine == "graph" else run_of(tmp_path, engine).directory
    graph = graph_of(events_of(directory))
    scopes = {node.name.split("/")[0] for node in graph.node}
    wanted = {"vgg19", "content_loss", "style_loss", "total_variation", "optimizer"}
    assert wanted <= scopes
    # The kernels have 80 MB; the graph that names them must fit a browser.
    assert graph.ByteSize() < 1_000_000
    assert max(node.ByteSize() for node in graph.node) < 4 * LARGEST_CONSTANT


def test_eager_mode_has_no_graph_to_show(tmp_path: Path) -> None:
    events = events_of(run_of(tmp_path, "eager").directory)
    assert not any(event.graph_def for event in events)
    assert sorted(values_of(events, "loss/total")) == [2, 4, 5]


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    directory = run_of(tmp_path, log={"losses_every": 2, "image_every": 4}).directory
    assert not (directory / "tensorboard").exists()


def test_large_constants_lose_their_values_and_nothing_else() -> None:
    with tf.Graph().as_default() as graph:
        kernel = tf.constant(np.random.default_rng(0).normal(size=(64, 64)), name="kernel")
        tf.reshape(kernel, [4096], name="flat")

        @tf.function
        def inner() -> tf.Tensor:
            return tf.constant(np.arange(4096.0))

        inner()
    definition = graph.as_graph_def()
    before = definition.SerializeToString(deterministic=True)
    stripped = without_large_constants(definition)
    assert definition.SerializeToString(deterministic=True) == before
    assert stripped.ByteSize() < 0.1 * definition.ByteSize()
    nodes = {node.name: node for node in stripped.node}
    assert list(nodes) == [node.name for node in definition.node]
    full = next(node for node in definition.node if node.name == "kernel")
    removed = full.attr["value"].tensor.ByteSize()
    assert removed > 8 * 64 * 64
    tensor = nodes["kernel"].attr["value"].tensor
    assert [side.size for side in tensor.tensor_shape.dim] == [64, 64]
    assert tensor.tensor_content == b"<%d bytes removed>" % removed
    assert nodes["flat/shape"] == next(n for n in definition.node if n.name == "flat/shape")


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        EventLog(tmp_path / "tensorboard")


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match="cannot be written"), EventLog(tmp_path) as events:
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
            for iteration in range(100):
                events.add_losses({"total": 1.0}, iteration)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_that_goes_on_has_a_file_of_its_own_and_says_from_where(tmp_path: Path) -> None:
    for resume_at, iterations in ((None, range(5)), (3, range(3, 6))):
        with EventLog(tmp_path, resume_at) as events:
            for iteration in iterations:
                events.add_losses({"total": float(iteration)}, iteration)
    _, later = sorted(tmp_path.iterdir())
    records = tf.data.TFRecordDataset(str(later)).as_numpy_iterator()
    version, start, first, *_ = map(tf1.Event.FromString, records)
    assert version.file_version
    assert (start.session_log.status, start.step) == (tf1.SessionLog.START, 3)
    assert first.step == 3
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [event.step for event in found.Scalars("loss/total")] == list(range(6))


def test_tensorboard_itself_reads_it(finished: RunResult) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(finished.directory / "tensorboard"))
    found.Reload()
    assert "loss/total" in found.Tags()["scalars"]
    assert found.Tags()["images"] == ["picture"]
    assert found.Tags()["graph"]
