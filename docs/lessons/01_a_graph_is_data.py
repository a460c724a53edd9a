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
# # 1. A graph is data
#
# In graph mode a line such as `c = tf.matmul(a, b)` multiplies nothing. It adds a record to a list:
# an operation of type MatMul with two inputs. The list is a `tf.Graph`. Numbers exist only while a
# *session* runs a part of it.
#
# Below is the smallest graph that has what style transfer needs:
#
# * a **placeholder**: a hole that each run must fill (here: an image),
# * a **variable**: a value that lives in the session between runs (here: the weight of the style),
# * a **fetch**: the tensor whose value you ask for. The session runs what leads to it, and nothing
#   else.

# %%
import tensorflow as tf

from graph_picture import show_fetches
from nst_graph.losses import gram_matrix
from small_job import small_job

tf1 = tf.compat.v1
job = small_job()

graph = tf.Graph()
with graph.as_default():
    image = tf1.placeholder(tf.float32, [1, None, None, 3], name="image")
    gram = tf.identity(gram_matrix(image), name="gram")
    weight = tf1.get_variable("weight", initializer=40.0, use_resource=True)
    cost = tf.multiply(weight, tf.reduce_sum(gram, name="sum"), name="cost")

print(gram)  # a name, a shape and a type, but no numbers
for operation in graph.get_operations():
    inputs = ", ".join(tensor.op.name for tensor in operation.inputs)
    print(f"{operation.type:22s} {operation.name}({inputs})")

# %% [markdown]
# The graph holds no value of `weight`; a session does. Two sessions on one graph are two worlds.
# Note what each run needs: `gram` runs before any variable exists, `weight` runs without an image.

# %%
with tf1.Session(graph=graph) as one, tf1.Session(graph=graph) as other:
    print(one.run(gram, {image: job.content}).round())  # no variable was initialised yet

    try:
        one.run(weight)
    except tf.errors.FailedPreconditionError:
        print("weight: a variable has no value until its initialiser runs")
    else:
        raise AssertionError("an uninitialised variable was read")

    other.run(weight.initializer)
    one.run(weight.initializer, {weight.initial_value: 1.0})  # any tensor can be fed
    assert (one.run(weight), other.run(weight)) == (1.0, 40.0)

    try:
        one.run(cost)
    except tf.errors.InvalidArgumentError:
        print("cost: the placeholder was not fed")
    else:
        raise AssertionError("a placeholder ran without a value")
    ratio = other.run(cost, {image: job.content}) / one.run(cost, {image: job.content})
    assert abs(ratio - 40) < 1e-3

# %% [markdown]
# Because the graph is data, one can ask it questions. What does a fetch need? Follow the inputs
# backwards. In the picture each panel is the same graph; orange is what that fetch runs.


# %%
def needed_for(operation: tf.Operation) -> set[tf.Operation]:
    """The operation and everything it depends on."""
    found, waiting = set(), [operation]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += [tensor.op for tensor in current.inputs] + list(current.control_inputs)
    return found


fetches = {"gram": gram.op, "weight.initializer": weight.initializer, "cost": cost.op}
show_fetches(graph, {f"run({name})": needed_for(fetch) for name, fetch in fetches.items()})

assert weight.op not in needed_for(gram.op)
assert image.op not in needed_for(weight.initializer)

# %% [markdown]
# The package builds its graph in the same manner (`nst_graph/problem.py`): there the image is the
# variable, and the optimiser's update is one more operation to fetch.
