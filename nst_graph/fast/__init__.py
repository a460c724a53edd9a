"""The step written by hand: the same losses as ``problem.build_step``, and the same gradient to
rounding, in less time and memory. docs/speed.md derives it; each module is one idea of it.

* ``convolution``: gradients of convolutions as convolutions with flipped kernels.
* ``winograd``: convolutions with a quarter of the multiplications.
* ``pooling``, ``fused``: what lies between two convolutions, compiled by XLA into one pass.
* ``grams``: Gram matrices summed in float32 whatever the features are, and their gradient.
* ``passes``: the network forward, and backward.
* ``strips``: a block in strips of rows, computed again in the backward pass instead of kept.
* ``step``: all of it as a ``StepBuilder``.
"""

from nst_graph.fast.step import fast_step, never
from nst_graph.fast.winograd import worthwhile

__all__ = ["fast_step", "never", "worthwhile"]
