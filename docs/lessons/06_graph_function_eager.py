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
# # 6. Graph, tf.function, eager
#
# The same optimisation three times: in a graph with a session; in eager mode as the TF2 articles
# write it, with a Keras model that returns the named activations, `GradientTape` and
# `apply_gradients`; and with that eager step wrapped in `tf.function`. Losses, kernels, targets and
# first image are the same, so the numbers must be, up to rounding.
#
# A counter in the Python code of the loss shows the difference in kind: *when* Python runs.

# %%
import time
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tf_keras

from nst_graph.layers import ACTIVATIONS, block_of, convolution_of, deepest_of
from nst_graph.losses import StyleShape, coursera_content, coursera_style, gram_matrix
from nst_graph.vgg19 import build_vgg19
from small_job import HEIGHT, WIDTH, small_job

tf1 = tf.compat.v1
STEPS, LEARNING_RATE, BETAS, EPSILON = 15, 2.0, (0.9, 0.999), 1e-8
job = small_job()
python_calls = {"graph": 0, "function": 0, "eager": 0}


def total_cost(activations, engine: str):
    """The recipe's total cost, on the activations of any engine."""
    python_calls[engine] += 1
    targets, losses, cost = job.targets, job.objective.losses, 0.0
    for name, coefficient in job.objective.content_layers.items():
        content = coursera_content(activations[name], targets.content[name])
        cost += losses.content_weight * coefficient * content
    for name, coefficient in job.objective.style_layers.items():
        _, height, width, channels = activations[name].shape
        target = targets.style[name]
        shape = StyleShape(channels, height * width, target.positions, HEIGHT * WIDTH)
        style = coursera_style(gram_matrix(activations[name]), target.gram, shape)
        cost += losses.style_weight * coefficient * style
    return cost


# %% [markdown]
# ## Graph: describe the step, then run the description

# %%


def graph_engine():
    """A function that makes one step in a session and returns the loss before it."""
    with tf.Graph().as_default() as graph:
        image = tf1.get_variable("image", initializer=job.initial, use_resource=True)
        network = build_vgg19(image.read_value(), job.weights, deepest=job.objective.deepest)
        loss = total_cost(network.activations, "graph")
        (gradient,) = tf1.gradients(loss, [image])
        optimizer = tf1.train.AdamOptimizer(LEARNING_RATE, *BETAS, EPSILON)
        update = optimizer.apply_gradients([(gradient, image)])
        initialise = tf1.global_variables_initializer()
    graph.finalize()
    session = tf1.Session(graph=graph)
    session.run(initialise, network.initial_values)
    return lambda: session.run((loss, update))[0]


# %% [markdown]
# ## Eager, and the same under `tf.function`

# %%


def keras_model() -> tf_keras.Model:
    """A functional model from an image to the recipe's named activations."""
    features = inputs = tf_keras.Input((HEIGHT, WIDTH, 3))
    outputs, wanted = {}, [*job.objective.content_layers, *job.objective.style_layers]
    for name in ACTIVATIONS[: ACTIVATIONS.index(deepest_of(wanted)) + 1]:
        if name.endswith("_1") and block_of(name) > 1:
            features = tf_keras.layers.AveragePooling2D(padding="same")(features)
        kernel = job.weights.kernels[convolution_of(name)]
        layer = tf_keras.layers.Conv2D(kernel.shape[-1], 3, padding="same", activation="relu")
        features = layer(features)
        layer.set_weights([kernel, job.weights.biases[convolution_of(name)]])
        if name in wanted:
            outputs[name] = features
    return tf_keras.Model(inputs, outputs)


def keras_adam(image: tf.Variable):
    optimizer = tf_keras.optimizers.Adam(LEARNING_RATE, *BETAS, epsilon=EPSILON)
    optimizer.build([image])  # tf.function may not make variables after its first trace
    return lambda gradient: optimizer.apply_gradients([(gradient, image)])


def eager_engine(engine: str = "eager", adam=keras_adam):
    """The step as a Python function, or, for the engine "function", its tf.function."""
    model, image = keras_model(), tf.Variable(job.initial)
    apply_gradient = adam(image)

    def step():
        with tf.GradientTape() as tape:
            loss = total_cost(model(image), engine)
        apply_gradient(tape.gradient(loss, image))
        return loss

    return tf.function(step) if engine == "function" else step


engines = {
    "graph": graph_engine,
    "function": lambda: eager_engine("function"),
    "eager": eager_engine,
}
steps, building, seconds, losses = {}, {}, {}, {}
for name, make in engines.items():
    begun = time.perf_counter()
    steps[name] = make()
    building[name] = time.perf_counter() - begun
    seconds[name], losses[name] = [], []
for _ in range(STEPS):
    for name, step in steps.items():  # in turn: A B C A B C
        begun = time.perf_counter()
        losses[name].append(float(step()))
        seconds[name].append(time.perf_counter() - begun)

print("           build   first step   median step   Python calls of the loss")
for name in engines:
    print(
        f"{name:9s} {building[name]:5.2f} s {seconds[name][0]:9.3f} s "
        f"{1e3 * median(seconds[name][1:]):10.1f} ms {python_calls[name]:12d}"
    )

assert python_calls == {"graph": 1, "function": 1, "eager": STEPS}

# %% [markdown]
# ## The same numbers?
#
# To 1e-4, yes, but the difference grows with every step. Is that chaos, or has it a cause? Adam's
# rule needs 1 - 0.999 and 1 - 0.999^t. TF1 computes both in float32, where 1 - 0.999 is
# 0.00099999, and keeps the power in a variable that it multiplies by 0.999 after each step; Keras
# takes 1 - 0.999 from Python and calls `pow(0.999, t)`. The steps differ by about 1e-5 for it.
# Eager mode with TF1's arithmetic settles it.


# %%
def tf1_adam(image: tf.Variable):
    """The very operation that TF1's optimiser puts into the graph, fed in the same manner."""
    mean, square = (tf.Variable(tf.zeros_like(image)) for _ in range(2))
    betas = np.float32(BETAS)
    powers = betas.copy()

    def apply_gradient(gradient):
        tf.raw_ops.ResourceApplyAdam(
            var=image.handle, m=mean.handle, v=square.handle, grad=gradient, lr=LEARNING_RATE,
            beta1=betas[0], beta2=betas[1], epsilon=EPSILON, beta1_power=powers[0],
            beta2_power=powers[1],
        )  # fmt: skip
        powers[:] *= betas

    return apply_gradient


step = eager_engine(adam=tf1_adam)
losses["eager, TF1's Adam"] = [float(step()) for _ in range(STEPS)]
difference = {
    name: abs(np.divide(values, losses["graph"]) - 1)
    for name, values in losses.items()
    if name != "graph"
}
for name, values in difference.items():
    print(f"largest relative difference to graph, {name:17s}: {values.max():.1e}")
    assert (values < 1e-4).all()
assert difference["eager, TF1's Adam"].max() < difference["eager"].max() / 3

figure, axes = plt.subplots(1, 3, figsize=(10, 3))
colours = {"graph": "black", "function": "darkorange", "eager": "royalblue"}
for (name, colour), width in zip(colours.items(), (6, 3.5, 1), strict=True):
    axes[0].plot(losses[name], color=colour, linewidth=width, label=name)
axes[0].set(title="total cost", xlabel="step", ylim=(0, None))
for (name, values), style in zip(difference.items(), ("-", "--", "-"), strict=True):
    colour = colours.get(name, "seagreen")
    axes[1].semilogy(np.maximum(values, 1e-9), style, color=colour, label=name)
axes[1].set(title="relative difference to graph", xlabel="step (no difference: 1e-9)")
axes[1].set_ylim(5e-10, 1e-3)
medians = [1e3 * median(seconds[name][1:]) for name in colours]
axes[2].bar(list(colours), medians, color=list(colours.values()))
axes[2].set(title="median step, ms")
for axis in axes[:2]:
    axis.legend(fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# The network is narrow here, so the time is mostly Python and dispatch: eager pays it for every
# operation of every step. With the real VGG-19 the convolutions take nearly all of the time and the
# three come closer; what stays is memory and the first step. `nst-graph compare JOB` makes this
# comparison for a job of yours.
