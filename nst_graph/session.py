"""TensorFlow sessions: device, threads and repeatability, decided in one place."""

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


def session_config(settings: SessionSettings) -> Any:
    """ConfigProto for a job.

    ``deterministic`` switches Grappler's memory optimizer off: with it on, CPU results differ in
    the last bits from run to run; without it they are the same in every process that has the same
    number of threads on the same processor. (At another number sums are divided otherwise: the
    last bit of a loss was seen to differ at once, the picture's after 60 steps.) On a GPU see
    ``make_deterministic``, too.

    Raises:
        DeviceError: a GPU is asked for and none is visible.
    """
    config = tf1.ConfigProto(
        intra_op_parallelism_threads=settings.threads,
        inter_op_parallelism_threads=settings.threads,
        allow_soft_placement=True,
    )
    if choose_device(settings.device) == "cpu":
        config.device_count["GPU"] = 0
    else:
        config.gpu_options.allow_growth = True
    if settings.deterministic:
        make_deterministic(settings)
        rewrites = config.graph_options.rewrite_options
        rewrites.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
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
