"""Sessions: what the settings become in TensorFlow's own configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from networks import seeded_weights
from tensorflow.core.protobuf import rewriter_config_pb2

from nst_graph.builders import choose_builder
from nst_graph.capacity import decide_memory, describe_memory
from nst_graph.config import SessionSettings
from nst_graph.errors import CapacityError, DeviceError
from nst_graph.estimate import estimate
from nst_graph.ingredients import _what_decides_targets
from nst_graph.jobs import make_job
from nst_graph.pipeline import run
from nst_graph.plan import Plan, make_plan, settled
from nst_graph.problem import build_step
from nst_graph.session import check_placement, session_config, use_tf32

pytestmark = pytest.mark.tensorflow
tf1 = tf.compat.v1

JOB = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "size": 100,
    "weights": {"source": "random"},
    "optimizer": {"steps": 2},
    "content_layers": {"relu2_1": 1.0},
    "style_layers": {"relu1_1": 0.5, "relu2_2": 0.5},
}


@pytest.fixture
def tf32() -> Iterator[None]:
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (SessionSettings(), False),
        (SessionSettings(precision="fast"), True),
        (SessionSettings(tf32=True), True),
        (SessionSettings(precision="fast", tf32=False), False),
    ],
)
def test_tf32_is_off_unless_it_is_asked_for(
    settings: SessionSettings, allowed: bool, tf32: None
) -> None:
    tf.config.experimental.enable_tensor_float_32_execution(not allowed)
    use_tf32(settings)
    assert tf.config.experimental.tensor_float_32_execution_enabled() is allowed
    tf.config.experimental.enable_tensor_float_32_execution(not allowed)
    session_config(settings)
    assert tf.config.experimental.tensor_float_32_execution_enabled() is allowed


def test_mixed_precision_is_a_rewrite_of_the_graph() -> None:
    on = rewriter_config_pb2.RewriterConfig.ON
    for wanted in ("none", "bf16"):
        config = session_config(SessionSettings(device="cpu", mixed_precision=wanted))
        found = config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16
        assert (found == on) is (wanted == "bf16")


def test_settings_of_a_gpu_are_in_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only GPU there is to see here is a pretended one: nothing is run."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])
    settings = SessionSettings(device="gpu", deterministic=False)
    config = session_config(settings)
    assert config.gpu_options.allow_growth
    assert config.gpu_options.per_process_gpu_memory_fraction == 0
    assert "GPU" not in config.device_count
    limited = {"memory_growth": False, "memory_fraction": 0.25}
    config = session_config(settings.model_copy(update=limited))
    assert not config.gpu_options.allow_growth
    assert config.gpu_options.per_process_gpu_memory_fraction == 0.25
    with pytest.raises(DeviceError, match="CPU only"):
        session_config(settings.model_copy(update={"mixed_precision": "bf16"}))


@pytest.mark.parametrize("by_hand", [{"precision": "fast"}, {"memory": "low"}])
def test_grappler_leaves_the_compiled_functions_of_the_hand_written_step_alone(
    by_hand: dict[str, str],
) -> None:
    """It would put sums of large tensors into them in a form that XLA does not know."""
    off = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    for settings, expected in (({}, False), (by_hand, True)):
        config = session_config(SessionSettings(device="cpu", deterministic=False, **settings))
        chosen = config.graph_options.rewrite_options.memory_optimization
        assert (chosen == off) is expected


def test_convolutions_are_looked_for_on_their_device() -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        image = tf.ones([1, 8, 8, 3])
        features = tf.nn.relu(tf.nn.conv2d(image, tf.random.normal([3, 3, 3, 4]), 1, "SAME"))
        check_placement(session, features, "cpu")
        with pytest.raises(DeviceError, match="1 convolutions were not placed on the GPU"):
            check_placement(session, features, "gpu")


def test_the_builder_follows_the_memory_mode() -> None:
    assert choose_builder(SessionSettings()) is build_step
    assert choose_builder(SessionSettings(memory="full")) is build_step
    assert choose_builder(SessionSettings(memory="tiled")) is not build_step


def test_a_run_in_tiles_says_so_and_ends_as_the_whole_does(tmp_path: Path) -> None:
    results = []
    for session in ({"memory": "full"}, {"memory": "tiled", "tile_size": 64}):
        job = {**JOB, "output": str(tmp_path / session["memory"]), "session": session}
        results.append(run(make_plan(make_job(job))))
    manifests = [
        json.loads((result.directory / "manifest.json").read_text(encoding="utf-8"))
        for result in results
    ]
    assert [manifest["memory"]["mode"] for manifest in manifests] == ["full", "tiled"]
    assert manifests[1]["memory"]["tile_size"] == 64
    assert manifests[1]["memory"]["estimated_mb"] > 900
    log = (results[1].directory / "run.log").read_text(encoding="utf-8")
    assert "memory: mode tiled, tile_size 64" in log
    assert "device: cpu" in log
    for name, value in results[0].losses.items():
        assert results[1].losses[name] == pytest.approx(value, rel=1e-4), name


def test_a_run_that_is_resumed_is_computed_as_it_was_begun(tmp_path: Path) -> None:
    plan = make_plan(make_job({**JOB, "output": str(tmp_path)}))
    decided, facts = decide_memory(plan)
    assert (decided.job.session.memory, facts["mode"]) == ("full", "full")
    assert plan.job.session.memory == "auto"
    resumed, facts = decide_memory(settled(plan, {"mode": "tiled", "tile_size": 64}))
    assert (resumed.job.session.memory, resumed.job.session.tile_size) == ("tiled", 64)
    assert (facts["mode"], facts["tile_size"]) == ("tiled", 64)
    assert describe_memory(facts).endswith("MB available, computed in tiles of 64 pixels")


def test_each_size_has_its_mode_and_the_largest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: 1200)
    plan = make_plan(make_job({**JOB, "size": None, "sizes": [64, 640], "output": "x"}))
    decided, facts = decide_memory(plan)
    assert [stage.job.session.memory for stage in decided.stages] == ["full", "low"]
    assert describe_memory(facts) == (
        f"about {facts['estimated_mb']} MB of 1200 MB available, computed as a whole, "
        "then in strips"
    )
    again, _ = decide_memory(settled(plan, facts))
    assert again.job == decided.job


def test_on_a_gpu_the_machines_memory_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_graph.capacity.choose_device", lambda wanted: "gpu")
    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: 1)
    plan = make_plan(make_job({**JOB, "output": "x"}))
    decided, facts = decide_memory(plan)
    assert (decided.job.session.memory, facts) == ("full", {"mode": "full", "tile_size": None})
    assert describe_memory(facts) == "computed as a whole on a GPU"


def whole(*overrides: str) -> Plan:
    job = {**JOB, "output": "x", "session": {"memory": "full"}}
    return make_plan(make_job(job, overrides))


@pytest.mark.parametrize("style_size", ["null", "content", "300"])
def test_the_largest_size_that_is_named_fits_and_the_next_does_not(
    monkeypatch: pytest.MonkeyPatch, style_size: str
) -> None:
    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: 1500)
    style = f"style_size={style_size}"
    with pytest.raises(CapacityError) as caught:
        decide_memory(whole("size=2000", style))
    side = int(caught.value.remedy.partition("--set size=")[2].partition(",")[0])
    assert estimate(whole(f"size={side}", style)).fits
    assert not estimate(whole(f"size={side + 1}", style)).fits


@pytest.mark.parametrize(
    "overrides",
    [["style_size=2000"], ["style=[{picture: 'embedded:painting', size: 2000}]"]],
)
def test_a_style_that_does_not_fit_by_itself_is_named(
    monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: 1500)
    with pytest.raises(CapacityError) as caught:
        decide_memory(whole(*overrides))
    assert "style_size" in caught.value.remedy
    assert "--set size=" not in caught.value.remedy


def test_a_resumed_run_that_does_not_fit_can_start_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = {"mode": "full", "tile_size": None}

    def remedy(*overrides: str) -> str:
        job = make_job({**JOB, "size": 1024, "output": str(tmp_path)}, overrides)
        with pytest.raises(CapacityError) as caught:
            decide_memory(settled(make_plan(job), begun), begun=True)
        return caught.value.remedy

    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: 1300)
    again = f"nst-graph run {tmp_path}/job.yaml --overwrite"
    assert remedy() == f"free some memory, or start over: {again}", "auto finds a way that fits"
    assert "start over with --set session.memory=" in remedy("session.memory=full")
    assert remedy("engine=eager").startswith("free some memory, or start over with --set size=")
    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: 500)
    assert remedy() == "free some memory"


@pytest.mark.parametrize("setting", ["mixed_precision=bf16", "tf32=true", "deterministic=false"])
def test_targets_of_other_arithmetic_are_not_taken_from_the_cache(setting: str) -> None:
    def entry(*overrides: str) -> dict[str, object]:
        plan = make_plan(make_job({**JOB, "output": "runs/x"}, overrides))
        return _what_decides_targets(plan, seeded_weights())

    assert entry() == entry("session.memory_growth=false")
    assert entry() != entry(f"session.{setting}")


def test_styles_of_other_tiles_are_not_shared() -> None:
    from nst_graph.ingredients import Reusable
    from nst_graph.types import StyleTarget

    style = {"relu1_1": StyleTarget(np.eye(2, dtype=np.float32), 4)}
    made = Reusable(style=style, tile_size=512)
    assert made.style_in(512) is style
    assert made.style_in(None) is None
