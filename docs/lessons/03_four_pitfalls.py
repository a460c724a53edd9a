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
# # 3. Four pitfalls
#
# Each of these is a line that looks right, raises nothing, and leaves a wrong number. Every cell
# first shows the wrong result, asserts that it *is* wrong, and then does it properly.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from nst_graph.losses import squared_error
from small_job import small_job

tf1 = tf.compat.v1
job = small_job()
content, zeros = job.content, np.zeros_like(job.content)

# %% [markdown]
# ## The assign that is never run
# `assign` is an operation like any other: making it changes nothing, running it does.

# %%
with tf.Graph().as_default(), tf1.Session() as session:
    image = tf1.get_variable("image", initializer=zeros, use_resource=True)
    session.run(tf1.global_variables_initializer())

    assign = image.assign(content)
    assert not session.run(image).any()  # WRONG: the image is still zero

    session.run(assign)
    assert (session.run(image) == content).all()  # right

# %% [markdown]
# ## The initialiser after the assign
# The initialiser sets *every* variable to its initial value, also the one that was just assigned.
# The Coursera assignment, solved with this mistake, starts from the zero image. It still paints;
# only the first total cost that it prints gives it away, 7.46e9 where 5.05e9 is right.

# %%
with tf.Graph().as_default(), tf1.Session() as session:
    image = tf1.get_variable("image", initializer=zeros, use_resource=True)
    assign, initialise = image.assign(content), tf1.global_variables_initializer()

    session.run(assign)
    session.run(initialise)
    assert not session.run(image).any()  # WRONG: back to zero

    session.run(initialise)
    session.run(assign)
    assert (session.run(image) == content).all()  # right: the initialiser comes first

# %% [markdown]
# ## The variable that is fed and not read
# Optimisers outside the graph, such as scipy's L-BFGS, feed the image with each call. A *resource
# variable* (what `tf.Variable` is today) can be fed without an error, but each place that uses it
# reads it by an operation of its own, and only one of these is replaced by the fed value.

# %%
with tf.Graph().as_default(), tf1.Session() as session:
    image = tf1.get_variable("image", initializer=zeros, use_resource=True)
    loss = squared_error(image, tf.constant(content))

    # The network reads the variable, or this placeholder: whatever is fed to it.
    network_input = tf1.placeholder_with_default(image.read_value(), image.shape)
    loss_of_input = squared_error(network_input, tf.constant(content))
    (gradient,) = tf1.gradients(loss_of_input, [image])

    session.run(tf1.global_variables_initializer())
    distance = session.run(loss)
    assert session.run(loss, {image: content}) == distance > 0  # WRONG: still the loss of zeros

    assert session.run(loss_of_input, {network_input: content}) == 0  # right
    assert session.run(loss_of_input) == distance  # not fed, it is the variable
    assert session.run(gradient).any()  # and the variable's gradient comes through it

# %% [markdown]
# ## The graph that grows
# A graph never forgets. `assign` in a loop adds operations in every round, and a session that finds
# its graph changed has to prepare it anew. `graph.finalize()` turns the mistake into an error.


# %%
def assign_in_the_loop(session: tf1.Session, image: tf.Variable):
    def step(value: np.ndarray) -> None:
        session.run(image.assign(value))

    return step


def assign_made_once(session: tf1.Session, image: tf.Variable):
    value_to_assign = tf1.placeholder(tf.float32, image.shape)
    assign = image.assign(value_to_assign)

    def step(value: np.ndarray) -> None:
        session.run(assign, {value_to_assign: value})

    return step


def measure(make_step, rounds: int = 120) -> tuple[list[int], list[float]]:
    """Operations in the graph after each round, and milliseconds of each round."""
    operations, milliseconds = [], []
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        image = tf1.get_variable("image", initializer=zeros, use_resource=True)
        session.run(tf1.global_variables_initializer())
        step = make_step(session, image)
        for _ in range(rounds):
            begun = time.perf_counter()
            step(content)
            milliseconds.append(1e3 * (time.perf_counter() - begun))
            operations.append(len(graph.get_operations()))
        assert (session.run(image) == content).all()
    return operations, milliseconds


growing, fixed = measure(assign_in_the_loop), measure(assign_made_once)
assert growing[0][-1] >= growing[0][0] + 119  # WRONG: more operations in every round
assert fixed[0][-1] == fixed[0][0]  # right

figure, axes = plt.subplots(1, 2, figsize=(8, 2.8))
for axis, index, title in zip(axes, (0, 1), ("operations in the graph", "ms a round"), strict=True):
    axis.plot(growing[index], color="firebrick", label="assign in the loop")
    axis.plot(fixed[index], color="seagreen", label="assign made once")
    axis.set(title=title, xlabel="round")
axes[1].set_yscale("log")
axes[0].legend()
figure.tight_layout()
plt.show()

with tf.Graph().as_default() as graph, tf1.Session() as session:
    image = tf1.get_variable("image", initializer=zeros, use_resource=True)
    session.run(tf1.global_variables_initializer())
    graph.finalize()
    try:
        assign_in_the_loop(session, image)(content)
    except RuntimeError as error:
        print("finalized:", error)
    else:
        raise AssertionError("a finalized graph grew")

# %% [markdown]
# In the package the image is a placeholder over a variable, every graph is finalized before its
# first run, and the initialiser runs once, fed with the first image (`nst_graph/problem.py`).
