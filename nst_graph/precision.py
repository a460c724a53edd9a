"""What ``session.precision`` means on this machine: decided here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensorflow as tf

from nst_graph.config import SessionSettings
from nst_graph.session import choose_device

#: Flags of /proc/cpuinfo, of which one is needed: without them bfloat16 is emulated, and slower
#: than float32.
BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})

#: The first generation of NVIDIA's GPUs that multiplies bfloat16 (Ampere).
BFLOAT16_CAPABILITY = (8, 0)

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Precision:
    """How a step is computed.

    Attributes:
        exact: by the graph as it is defined and TensorFlow's own gradient of it; else by the
            hand-written step.
        dtype: of activations and kernels. The image, its gradient, the losses and what they are
            sums of are float32 always.
        winograd: convolve by Winograd's method, where that is faster; a GPU's library decides that
            by itself, and bfloat16 would lose too much.
        notice: what the user should know of the choice; "" where it is the one asked for.
    """

    exact: bool
    dtype: Literal["float32", "bfloat16"]
    winograd: bool = False
    notice: str = ""


def resolve_precision(settings: SessionSettings) -> Precision:
    """What a job's settings come to here.

    Raises:
        DeviceError: a GPU is asked for and none is visible.
    """
    if settings.precision == "exact":
        return Precision(exact=True, dtype="float32")
    if choose_device(settings.device) == "gpu":
        return _on_gpu()
    if BFLOAT16_FLAGS & cpu_flags():
        return Precision(exact=False, dtype="bfloat16")
    return Precision(
        exact=False,
        dtype="float32",
        winograd=True,
        notice="session.precision is 'fast', but this CPU has neither AMX nor AVX512-BF16: "
        "the step is computed in float32",
    )


def cpu_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Instruction sets of the first processor; none where the system has no such file."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def _on_gpu() -> Precision:
    gpu = tf.config.list_physical_devices("GPU")[0]
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
    if capability >= BFLOAT16_CAPABILITY:
        return Precision(exact=False, dtype="bfloat16")
    return Precision(
        exact=False,
        dtype="float32",
        notice="session.precision is 'fast', but this GPU does not compute in bfloat16: "
        "the step is computed in float32",
    )
