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
# # 8. Why Gram matrices
#
# An activation says *what* is *where*: one vector of channels for each position. Style should be
# the what without the where. The Gram matrix F^T F is a sum over positions; each entry tells how
# strongly two channels answer together, anywhere in the picture. Shuffle the positions: it stays.

# %%
from dataclasses import replace
from itertools import pairwise

import numpy as np

from nst_graph.embedded import draw
from nst_graph.optimizers import optimise
from nst_graph.preprocess import to_network
from nst_graph.targets import TargetNetwork
from nst_graph.types import Targets
from nst_graph.weights.random_init import random_weights
from small_job import show_row, small_job

SHAPE, EVALUATIONS, LAYERS = (60, 80), 30, ("relu1_1", "relu2_1", "relu3_1")
style_pixels = draw("painting", *SHAPE)
weights = random_weights(0, draw("landscape", *SHAPE), style_pixels)
painting = to_network(style_pixels, "RGB")

with TargetNetwork(weights, "avg", "SAME", LAYERS, LAYERS) as network:
    activations, grams = network.content(painting), network.style(painting)

features = activations["relu2_1"].reshape(-1, weights.kernels["conv2_1"].shape[-1])  # positions, C
shuffled = np.random.default_rng(0).permutation(features)  # every feature at another place
gram, gram_of_shuffled = features.T @ features, shuffled.T @ shuffled

change, change_of_gram = abs(shuffled - features), abs(gram_of_shuffled - gram)
print(f"mean change of the features {change.mean():6.1f}, of a mean of {features.mean():.1f}")
print(f"largest change of the Gram  {change_of_gram.max():6.1f}, of at most {gram.max():.2e}")
assert change.mean() > 0.1 * features.mean()
assert change_of_gram.max() < 1e-5 * gram.max()
assert np.allclose(gram, grams["relu2_1"].gram, rtol=1e-3)  # the package's, from the graph

# %% [markdown]
# Now the same job, with one style layer at a time. It starts from the landscape and has no content
# loss: whatever is kept of the landscape is kept because nothing asks to change it. For comparison,
# first a loss that wants the *activation* of the painting, the where included.


# %%
def paint(layer: str, **weights_of_losses: float) -> np.ndarray:
    """The image after ``EVALUATIONS`` evaluations of L-BFGS, with this layer's loss alone."""
    settings = {
        "initial_image": {"kind": "content"},
        "content_layers": {layer: 1.0},
        "style_layers": {layer: 1.0},
        "losses": weights_of_losses,
        "optimizer": {"name": "lbfgs", "segments": 1, "evaluations": EVALUATIONS},
    }
    job = small_job(settings, weights, SHAPE)
    job = replace(job, targets=Targets(activations, job.targets.style))  # both of the painting
    with job.problem() as problem:
        *_, last = optimise(problem, job.job.optimizer, job.job.log)
        return last.fetch_image()


pictures = {"style": painting}
pictures["activation, relu1_1"] = paint("relu1_1", style_weight=0.0)
for layer in LAYERS:
    pictures[f"Gram, {layer}"] = paint(layer, content_weight=0.0)
show_row(pictures)


def distance(one: str, other: str) -> float:
    """Mean difference of two of the pictures, in pixel values."""
    return float(abs(pictures[one] - pictures[other]).mean())


for title in pictures:
    print(f"{title:20s} is {distance(title, 'style'):5.1f} from the painting")
assert distance("activation, relu1_1", "style") < 10  # the where came along: it is the painting
for layer, another in pairwise(LAYERS):
    assert distance(f"Gram, {layer}", "style") > 20  # the painting's manner, at other places
    assert distance(f"Gram, {layer}", f"Gram, {another}") > 5  # each layer has a manner of its own

# %% [markdown]
# `relu1_1` sees 3 x 3 pixels: it carries over colours and little else. The deeper a layer, the
# larger the patterns that its channels answer to, and the less it says about colour. These kernels
# are random, so what deeper layers want is mostly texture; **with the pretrained VGG-19** it is
# strokes and swirls. Load it as [README.md](README.md) shows, in place of `random_weights`, and try
# `relu4_1` and a larger `SHAPE`.
