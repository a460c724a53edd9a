# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Targets are constants
#
# The content loss compares two activations of one layer: that of the generated image, which changes
# with every step, and that of the content picture, which never does. The second one is a *target*.
# There are three ways to write it, and two of them are right:
#
# | | target | forward passes a step | result |
# |---|---|---|---|
# | A | run once, put into the graph as numbers | 1 | right |
# | B | left in the graph, a copy of the network on the content picture | 2 | right, slower |
# | C | the tensor itself, never run | 1 | **wrong**: this is the *generated* image's activation |
#
# C is easily written. The 2017 assignment assigns the content picture to the network's input, then
# says `a_C = sess.run(out)` and `a_G = out`. Forget the `sess.run` and both names mean one tensor.

# %%
import time
from statistics import median
from typing import NamedTuple

import tensorflow as tf

from nst_graph.losses import coursera_content
from nst_graph.preprocess import noise_image
from nst_graph.vgg19 import build_vgg19
from small_job import show_row, small_job

tf1 = tf.compat.v1
LAYER = "relu1_2"
job = small_job({"content_layers": {LAYER: 1.0}})
noise = noise_image(job.content.shape, seed=3)


class Built(NamedTuple):
    session: tf1.Session
    image: tf.Variable
    loss: tf.Tensor
    gradient: tf.Tensor
    update: tf.Operation


def build(kind: str) -> Built:
    """A graph that rebuilds the content picture from noise, with target A, B or C."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf1.get_variable("image", initializer=noise, use_resource=True)
        network = build_vgg19(image.read_value(), job.weights, deepest=LAYER)
        fed = dict(network.initial_values)
        if kind == "A":
            target = tf.constant(job.targets.content[LAYER])  # NumPy, from a session run
        elif kind == "B":
            with tf1.variable_scope("target"):
                copy = build_vgg19(tf.constant(job.content), job.weights, deepest=LAYER)
            fed.update(copy.initial_values)
            target = copy[LAYER]
        else:
            target = network[LAYER]
        loss = coursera_content(network[LAYER], target)
        (gradient,) = tf1.gradients(loss, [image])
        update = tf1.train.AdamOptimizer(4.0).apply_gradients([(gradient, image)])
        initializer = tf1.global_variables_initializer()
    graph.finalize()
    session = tf1.Session(graph=graph)
    session.run(initializer, fed)
    return Built(session, image, loss, gradient, update)


built = {kind: build(kind) for kind in "ABC"}
losses, gradients = {}, {}
for kind, its in built.items():
    losses[kind], gradient = its.session.run((its.loss, its.gradient))
    gradients[kind] = gradient
    print(
        f"{kind}: {len(its.session.graph.get_operations()):4d} operations, "
        f"loss {losses[kind]:7.2f}, largest gradient {abs(gradient).max():.4f}"
    )

scale = abs(gradients["A"]).max()
assert abs(gradients["A"] - gradients["B"]).max() < 1e-4 * scale  # B is A, at a higher price
assert losses["C"] == 0 and not gradients["C"].any()  # nothing to minimise

# %% [markdown]
# C raises no error. Its loss is 0 from the start, its gradient is 0, and Adam leaves the noise as
# it is. With a style loss beside it, C still paints a picture, one in which nothing holds the
# content. (`tf.stop_gradient` around the target does not help: the value still follows the image.)

# %%
seconds = {kind: [] for kind in built}
for _ in range(150):
    for kind, its in built.items():  # in turn, so that all meet the same load
        begun = time.perf_counter()
        its.session.run(its.update)
        seconds[kind].append(time.perf_counter() - begun)

results = {}
for kind, its in built.items():
    results[kind] = its.session.run(its.image)
    its.session.close()
    print(f"{kind}: {1e3 * median(seconds[kind]):.1f} ms a step")
titled = {f"target {kind}": result for kind, result in results.items()}
show_row({"content": job.content, "start": noise, **titled})

error = {kind: abs(result - job.content).mean() for kind, result in results.items()}
assert error["A"] < abs(noise - job.content).mean() / 2
assert (results["C"] == noise).all()

# %% [markdown]
# The package computes targets in a graph and a session of their own (`nst_graph/targets.py`) and
# passes NumPy arrays on: what is an array cannot depend on the image.
#
# **With the real kernels**: `small_job(..., weights=...)`; see "With the real kernels" in
# [README.md](README.md).
