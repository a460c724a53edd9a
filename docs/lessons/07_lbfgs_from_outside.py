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
# # 7. L-BFGS from outside the graph
#
# Adam lives in the graph: one run changes the image variable. L-BFGS lives in scipy. It holds the
# image itself, as one long float64 vector, and asks again and again: *what are the loss and the
# gradient here?* The graph only answers. A Keras backend function is such an answer, a session run
# with fixed inputs and outputs, as in the first edition of the Keras example.
#
# The vector must reach the network, so the function's input is the placeholder over the image, not
# the image variable (lesson 3). The first thing to check is that two images give two losses.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from tf_keras import backend

from nst_graph.optimizers import optimise
from small_job import show_picture, small_job

EVALUATIONS = 60
settings = {"log": {"losses_every": 1, "read_losses": "before_update"}}
job = small_job({**settings, "optimizer": {"steps": EVALUATIONS, "learning_rate": 2.0}})

problem = job.problem()
with problem.graph.as_default():
    outputs = [problem.terms["total"], problem.gradient]
    by_input = backend.function([problem.network_input], outputs)
    by_variable = backend.function([problem.image], outputs)
problem.start()


def evaluate(function, image: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and gradient at a flat float64 image, the gradient flat and float64 too."""
    with problem.graph.as_default(), problem.session.as_default():  # the function uses both
        loss, gradient = function([image.reshape(job.initial.shape).astype(np.float32)])
    return float(loss), gradient.ravel().astype(np.float64)


start, elsewhere = (image.ravel().astype(np.float64) for image in (job.initial, job.content))
assert evaluate(by_variable, start)[0] == evaluate(by_variable, elsewhere)[0]  # WRONG: fed in vain
assert evaluate(by_input, start)[0] != evaluate(by_input, elsewhere)[0]  # right

# The gradient is that of the loss: a small step along it changes the loss by as much as it says.
loss, gradient = evaluate(by_input, start)
direction = gradient / np.linalg.norm(gradient)
above, below = (evaluate(by_input, start + step * direction)[0] for step in (0.5, -0.5))
print(f"slope: {above - below:.6g} by differences, {gradient @ direction:.6g} by the gradient")
assert abs((above - below) / (gradient @ direction) - 1) < 1e-2

# %% [markdown]
# Now the optimisation. An *evaluation* is one forward and one backward pass, which is what an Adam
# step costs too, so evaluations are the fair measure. L-BFGS tries a step length and may reject it
# (its line search), so that a single evaluation can be worse than the best one so far.

# %%
lbfgs_losses: list[float] = []


def loss_and_gradient(image: np.ndarray) -> tuple[float, np.ndarray]:
    loss, gradient = evaluate(by_input, image)
    lbfgs_losses.append(loss)
    return loss, gradient


result = minimize(
    loss_and_gradient, start, jac=True, method="L-BFGS-B",
    options={"maxfun": EVALUATIONS, "maxiter": EVALUATIONS},
)  # fmt: skip
print(f"L-BFGS: {result.nfev} evaluations for {result.nit} steps; {result.message}")
assert result.nfev == len(lbfgs_losses) >= result.nit
assert result.fun == min(lbfgs_losses) < lbfgs_losses[0] / 10
assert (problem.read_image() == job.initial).all()  # the variable was never touched
problem.session.close()

with job.problem() as other:
    steps = optimise(other, job.job.optimizer, job.job.log)
    adam_losses = [step.losses["total"] for step in steps]
    adam_image = other.read_image()
assert adam_losses[0] == lbfgs_losses[0]

figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), width_ratios=(2, 1, 1, 1))
axes[0].semilogy(adam_losses, color="royalblue", label="Adam, rate 2")
axes[0].semilogy(lbfgs_losses, ".", color="firebrick", label="L-BFGS, each evaluation")
best_so_far = np.minimum.accumulate(lbfgs_losses)
axes[0].semilogy(best_so_far, color="firebrick", label="L-BFGS, best so far")
axes[0].set(xlabel="evaluations", title="total cost")
axes[0].legend(fontsize=8)
lbfgs_image = result.x.reshape(job.initial.shape).astype(np.float32)
pictures = {"start": job.initial, "Adam": adam_image, "L-BFGS": lbfgs_image}
for axis, (title, picture) in zip(axes[1:], pictures.items(), strict=True):
    show_picture(axis, picture, title)
figure.tight_layout()
plt.show()

# %% [markdown]
# L-BFGS needs no learning rate, and here it comes lower with the same number of evaluations. It
# cannot be stopped and resumed exactly, for scipy does not hand out its memory. The Keras example,
# and with it the package (`nst_graph/optimizers/lbfgs.py`), runs it in segments of 20 evaluations,
# each begun with an empty memory.
