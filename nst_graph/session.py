"""TensorFlow sessions: device, threads, arithmetic and repeatability, decided in one place."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from nst_graph.config import SessionSettings
from nst_graph.errors import DeviceError

tf1 = tf.compat.v1


def choose_device(wanted: str) -> str:
    """Resolve "auto", "cpu" or "gpu" to "cpu" or "gpu" by what TensorFlow sees.

    Raises:
        DeviceError: a GPU is asked for and none is visible.
    """
    if wanted == "cpu":
        return "cpu"
    visible = tf.config.list_physical_devices("GPU")
    if visible:
        return "gpu"
    if wanted == "gpu":
        raise DeviceError(
            "session.device is 'gpu' but TensorFlow sees no GPU",
            remedy="install the CUDA build (pip install 'nst_graph[gpu]') and check nvidia-smi "
            "and CUDA_VISIBLE_DEVICES, or use --set session.device=cpu",
        )
    return "cpu"


def device_text(settings: SessionSettings) -> str:
    """The device that a job runs on, for its log."""
    device = choose_device(settings.device)
    if settings.device == "auto" and device == "cpu":
        return "cpu (TensorFlow sees no GPU)"
    return device


def session_config(settings: SessionSettings) -> Any:
    """ConfigProto for a job; TF32, which TensorFlow knows for the whole process only, is set too.

    ``deterministic`` switches Grappler's memory optimizer off: with it on, CPU results differ in
    the last bits from run to run; without it they are the same in every process that has the same
    number of threads on the same processor. (At another number sums are divided otherwise: the
    last bit of a loss was seen to differ at once, the picture's after 60 steps.) On a GPU see
    ``make_deterministic``, too.

    Raises:
        DeviceError: a GPU is asked for and none is visible, or it cannot do what is asked for.
    """
    config = tf1.ConfigProto(
        intra_op_parallelism_threads=settings.threads,
        inter_op_parallelism_threads=settings.threads,
        allow_soft_placement=True,
    )
    device = choose_device(settings.device)
    if device == "cpu":
        config.device_count["GPU"] = 0
    else:
        config.gpu_options.allow_growth = settings.memory_growth
        config.gpu_options.per_process_gpu_memory_fraction = settings.memory_fraction or 0.0
    rewrites = config.graph_options.rewrite_options
    make_deterministic(settings)
    if settings.deterministic or settings.precision == "fast" or settings.memory == "low":
        # The hand-written step, too: the optimizer puts operations into its compiled functions that
        # XLA does not know (TemporaryVariable, for sums of large tensors).
        rewrites.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    if settings.mixed_precision == "bf16":
        if device == "gpu":
            raise DeviceError(
                "session.mixed_precision is 'bf16', which TensorFlow has for a CPU only",
                remedy="on a GPU use --set session.precision=fast instead",
            )
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    use_tf32(settings)
    return config


def make_deterministic(settings: SessionSettings) -> None:
    """On a GPU, let TensorFlow use deterministic kernels only, where the settings ask for it.

    TensorFlow has this switch for the whole process, not for a session, and no way to turn it back.
    A kernel that has no deterministic form raises an error when it is run.

    Raises:
        DeviceError: a GPU is asked for and none is visible.
    """
    if settings.deterministic and choose_device(settings.device) == "gpu":
        tf.config.experimental.enable_op_determinism()


def use_tf32(settings: SessionSettings) -> None:
    """Allow TF32 in this process, or forbid it; TensorFlow allows it unless told otherwise."""
    tf.config.experimental.enable_tensor_float_32_execution(allows_tf32(settings))


def allows_tf32(settings: SessionSettings) -> bool:
    """Whether a job lets TensorFlow multiply float32 in TF32."""
    return settings.precision == "fast" if settings.tf32 is None else settings.tf32


def check_placement(session: Any, fetches: Any, device: str) -> None:
    """Make sure that every convolution that ``fetches`` need runs on a device; runs them once.

    Args:
        session: open, its variables initialised.
        fetches: as for ``session.run``.
        device: "cpu" or "gpu".

    Raises:
        DeviceError: some run elsewhere.
    """
    metadata = tf1.RunMetadata()
    session.run(
        fetches, options=tf1.RunOptions(output_partition_graphs=True), run_metadata=metadata
    )
    nodes = [node for graph in metadata.partition_graphs for node in graph.node]
    # Fused ones are named _FusedConv2D, gradients Conv2DBackpropInput.
    astray = [
        node
        for node in nodes
        if "Conv2D" in node.op and f"device:{device.upper()}:" not in node.device
    ]
    if astray:
        raise DeviceError(
            f"{len(astray)} convolutions were not placed on the {device.upper()}: "
            f"{astray[0].name} is on {astray[0].device}",
            remedy="look for the CUDA libraries that TensorFlow misses in its log "
            "(TF_CPP_MIN_LOG_LEVEL=0), or use --set session.device=cpu",
        )


def environment(settings: SessionSettings) -> dict[str, Any]:
    """What a result can depend on beside the job: for the manifest."""
    device = choose_device(settings.device)
    names = tf.config.list_physical_devices("GPU") if device == "gpu" else []
    details = [tf.config.experimental.get_device_details(name) for name in names]
    return {
        "device": device,
        "device_names": [detail.get("device_name", "GPU") for detail in details],
        "threads": settings.threads
        or int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0))
        or os.cpu_count(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "tensorflow": tf.__version__,
    }
