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
# # 5. One run for all fetches
#
# A run computes what its fetches need and forgets everything but their values. Three terms in one
# call share one pass through the network; three calls make three passes. A loop that asks for the
# total, the content and the style cost one after the other pays three times, and if an update comes
# between the calls, the numbers belong to different images.

# %%
import time
from statistics import median, quantiles

import matplotlib.pyplot as plt
import tensorflow as tf

from small_job import small_job

tf1 = tf.compat.v1
job = small_job()
problem = job.problem()
with problem.graph.as_default():
    update = tf1.train.AdamOptimizer(2.0).apply_gradients([(problem.gradient, problem.image)])
problem.start()
session, terms = problem.session, problem.terms


def convolutions_run(fetches) -> int:
    """How many convolutions one session run executes, from TensorFlow's own trace."""
    options, metadata = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE), tf1.RunMetadata()
    session.run(fetches, options=options, run_metadata=metadata)
    executed = set()
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            operation = node.timeline_label.partition(" = ")[2].partition("(")[0]
            if operation.endswith("Conv2D"):
                executed.add(node.node_name)
    return len(executed)


three = [terms["total"], terms["content"], terms["style"]]
together, apart = convolutions_run(three), [convolutions_run(term) for term in three]
print(f"convolutions: {together} in one run, {' + '.join(map(str, apart))} in three")
assert together == 13 and apart == [13, 10, 13]  # the content layer lies above the last style layer

# With one run each and an update in between, total is not the sum of its parts. WRONG:
total = session.run(terms["total"])
session.run(update)
content, style = session.run(terms["content"]), session.run(terms["style"])
alpha, beta = job.objective.losses.content_weight, job.objective.losses.style_weight
assert abs(total - (alpha * content + beta * style)) > 0.01 * total

# Right: one run, one image.
total, content, style = session.run(three)
assert abs(total - (alpha * content + beta * style)) < 1e-5 * total

# %% [markdown]
# What does it cost? All the terms of the recipe (the total, the two sums, six layers), in one run
# and in one run each, measured in turn so that both meet the same load. Bars: the middle half.

# %%
fetches = list(terms.values())
counts = range(1, len(fetches) + 1)
seconds = {(count, kind): [] for count in counts for kind in ("one run", "one run each")}
for _ in range(13):
    for count in counts:
        begun = time.perf_counter()
        session.run(fetches[:count])
        middle = time.perf_counter()
        for fetch in fetches[:count]:
            session.run(fetch)
        seconds[count, "one run"].append(middle - begun)
        seconds[count, "one run each"].append(time.perf_counter() - middle)

figure, axis = plt.subplots(figsize=(5.5, 3.2))
for kind, colour in {"one run": "seagreen", "one run each": "firebrick"}.items():
    # The first three rounds prepare the graph for each new set of fetches.
    measured = [[1e3 * value for value in seconds[count, kind][3:]] for count in counts]
    centre = [median(values) for values in measured]
    spread = [quantiles(values, n=4) for values in measured]
    below = [middle - low for middle, (low, _, _) in zip(centre, spread, strict=True)]
    above = [high - middle for middle, (_, _, high) in zip(centre, spread, strict=True)]
    axis.errorbar(counts, centre, [below, above], color=colour, marker="o", label=kind)
axis.set(xlabel="number of terms", ylabel="milliseconds", ylim=(0, None))
axis.legend(loc="upper left")
figure.tight_layout()
plt.show()
problem.session.close()

# %% [markdown]
# In the package a Step's losses come from one run of the whole dictionary of terms, and the picture
# is fetched only when it is to be saved (`nst_graph/optimizers/`). Where the losses may be those
# *before* the update, they come from the very run that makes it, and cost nothing.
