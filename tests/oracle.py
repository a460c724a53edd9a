"""An independent oracle: VGG-19, the losses of every recipe and their gradients in plain NumPy.

Written from the published formulas alone. It imports nothing from the package that it judges, so
that a misread formula there cannot be misread the same way here. Everything is computed in the
dtype of the image given: float64 to judge a value, float32 where a real-size picture is only run.

Images are [1, height, width, 3], *preprocessed*, with channels in the order of the kernels given.
Kernels are HWIO under the names ``conv1_1`` .. ``conv5_4`` and biases [out] under the same names;
a network may end anywhere and have any channel counts. Activations are ``relu1_1`` ..., after the
ReLU, [1, height, width, channels].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Pooling = Literal["avg", "max"]
Padding = Literal["SAME", "VALID"]

# --- the network -----------------------------------------------------------------------------


def tiny_network(
    seed: int, channels: Sequence[int] = (4, 5, 6, 7, 8)
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random float64 kernels and biases under the names of VGG-19, with few channels.

    Args:
        seed: of the generator; the same seed gives the same network.
        channels: per block; with fewer than five the network ends early.

    Returns:
        (kernels, biases). He-scaled, so that a signal neither dies nor explodes on its way down.
    """
    generator = np.random.default_rng(seed)
    kernels, biases, fan_in = {}, {}, 3
    for block, (convolutions, count) in enumerate(zip((2, 2, 4, 4, 4), channels, strict=False), 1):
        for index in range(1, convolutions + 1):
            name = f"conv{block}_{index}"
            scale = np.sqrt(2 / (9 * fan_in))
            kernels[name] = scale * generator.standard_normal((3, 3, fan_in, count))
            biases[name] = generator.uniform(-1, 1, count)
            fan_in = count
    return kernels, biases


def forward(
    image: Array,
    kernels: Arrays,
    biases: Arrays,
    pooling: Pooling = "max",
    padding: Padding = "VALID",
    deepest: str | None = None,
) -> dict[str, Array]:
    """Activations of every layer from ``relu1_1`` to ``deepest`` (by default all there are).

    ``pooling`` and ``padding`` are those of the 2x2, stride 2 pooling between blocks; convolutions
    are zero padded to keep the size. SAME pads at the bottom and right of an odd size only, and
    average pooling divides by the cells that exist, as TensorFlow does.
    """
    if deepest is not None and deepest.replace("relu", "conv") not in kernels:
        raise ValueError(f"no kernel for {deepest!r}; there are {sorted(kernels)}")
    activations: dict[str, Array] = {}
    x = image[0]
    for convolution in sorted(kernels):
        if _opens_a_block(convolution):
            x = _pool(x, pooling, padding)
        kernel = kernels[convolution].astype(image.dtype, copy=False)
        x = np.maximum(_convolve(x, kernel) + biases[convolution].astype(image.dtype), 0)
        name = convolution.replace("conv", "relu")
        activations[name] = x[np.newaxis]
        if name == deepest:
            break
    return activations


def backward(
    activations: Arrays,
    gradients: Arrays,
    kernels: Arrays,
    pooling: Pooling = "max",
    padding: Padding = "VALID",
) -> Array:
    """Gradient of a loss with respect to the image.

    Args:
        activations: what :func:`forward` returned with the same pooling and padding.
        gradients: of the loss with respect to some of the activations, by name, same shapes.

    Returns:
        [1, height, width, 3]. Where several cells of a maximum tie, the first one takes it all;
        the gradient of the ReLU at zero is zero (both as in TensorFlow on a CPU).
    """
    names = [name for name in sorted(activations) if name <= max(gradients)]
    below: Array = np.zeros_like(activations[names[-1]][0])
    for name, input_name in zip(reversed(names), [*reversed(names[:-1]), "image"], strict=True):
        gradient = below + gradients[name][0] if name in gradients else below
        gradient = gradient * (activations[name][0] > 0)
        convolution = name.replace("relu", "conv")
        flipped = kernels[convolution][::-1, ::-1].transpose(0, 1, 3, 2)
        below = _convolve(gradient, flipped.astype(gradient.dtype, copy=False))
        if _opens_a_block(convolution):
            below = _unpool(activations[input_name][0], below, pooling, padding)
    return np.expand_dims(below, 0)


def _opens_a_block(convolution: str) -> bool:
    """A pooling comes before it: the first of every block but the first."""
    return convolution.endswith("_1") and convolution != "conv1_1"


def _convolve(x: Array, kernel: Array) -> Array:
    """3x3 cross-correlation of [H, W, in] with HWIO, zero padded to the same size."""
    height, width, channels = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((height * width, kernel.shape[3]), x.dtype)
    for dy, dx in product(range(3), range(3)):
        shifted = padded[dy : dy + height, dx : dx + width]
        out += shifted.reshape(-1, channels) @ kernel[dy, dx]
    return out.reshape(height, width, -1)


def _windows(x: Array, padding: Padding, fill: float) -> Array:
    """[H, W, C] as 2x2 windows, [rows, columns, 4, C]; padded cells hold ``fill``."""
    height, width, channels = x.shape
    if padding == "SAME":
        x = np.pad(x, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=fill)
    elif padding == "VALID":
        x = x[: height - height % 2, : width - width % 2]
    else:
        raise ValueError(f"padding {padding!r} is neither 'SAME' nor 'VALID'")
    rows, columns = x.shape[0] // 2, x.shape[1] // 2
    split = x.reshape(rows, 2, columns, 2, channels).swapaxes(1, 2)
    windows: Array = split.reshape(rows, columns, 4, channels)
    return windows


def _pool(x: Array, pooling: Pooling, padding: Padding) -> Array:
    pooled: Array
    if pooling == "max":
        pooled = _windows(x, padding, -np.inf).max(axis=2)
    elif pooling == "avg":
        cells = _windows(np.ones_like(x[..., :1]), padding, 0).sum(axis=2)
        pooled = _windows(x, padding, 0).sum(axis=2) / cells
    else:
        raise ValueError(f"pooling {pooling!r} is neither 'avg' nor 'max'")
    return pooled


def _unpool(x: Array, gradient: Array, pooling: Pooling, padding: Padding) -> Array:
    """Gradient with respect to ``x``, the input of a pooling, from that of its output."""
    shares = np.zeros((*gradient.shape[:2], 4, gradient.shape[2]), gradient.dtype)
    if pooling == "max":
        winner = _windows(x, padding, -np.inf).argmax(axis=2)[:, :, np.newaxis]
        np.put_along_axis(shares, winner, gradient[:, :, np.newaxis], axis=2)
    else:
        cells = _windows(np.ones_like(x[..., :1]), padding, 0).sum(axis=2)
        shares += (gradient / cells)[:, :, np.newaxis]
    rows, columns, _, channels = shares.shape
    joined = shares.reshape(rows, columns, 2, 2, channels).swapaxes(1, 2)
    joined = joined.reshape(2 * rows, 2 * columns, channels)[: x.shape[0], : x.shape[1]]
    out = np.zeros(x.shape, gradient.dtype)  # VALID leaves the last row and column of odd sizes out
    out[: joined.shape[0], : joined.shape[1]] = joined
    return out


# --- terms of the losses ---------------------------------------------------------------------


class Term(NamedTuple):
    """A scalar loss and its gradient with respect to the array it was computed from."""

    value: float
    gradient: Array


def gram(activation: Array) -> Array:
    """Unnormalised Gram matrix F^T F, [C, C], of an activation [1, H, W, C]."""
    flat = activation.reshape(-1, activation.shape[-1])
    matrix: Array = flat.T @ flat
    return matrix


class StyleScale(NamedTuple):
    """A style cost as ``factor * sum((style * G_style - generated * G_generated)^2)``."""

    factor: float
    generated: float
    style: float


class Sizes(NamedTuple):
    """Of one style layer: channels, positions of both maps, and pixels of the generated image."""

    channels: int
    generated: int
    style: int
    pixels: int


def style_term(
    activation: Array, style: Array, scale: Callable[[Sizes], StyleScale], pixels: int
) -> Term:
    """Style cost of one layer as a Term with respect to ``activation``.

    Args:
        activation: of the generated image, [1, H, W, C].
        style: activation of the style image at the same layer, [1, any, any, C].
        scale: the normalisation of a recipe.
        pixels: rows * columns of the generated image.
    """
    channels = activation.shape[-1]
    flat = activation.reshape(-1, channels)
    sizes = Sizes(channels, len(flat), style.size // channels, pixels)
    factor, of_generated, of_style = scale(sizes)
    difference = of_generated * gram(activation) - of_style * gram(style)
    # d(F^T F) enters twice, once through each factor, and the difference is symmetric.
    gradient = 4 * factor * of_generated * flat @ difference
    return Term(float(factor * np.sum(difference**2)), gradient.reshape(activation.shape))


def content_term(activation: Array, target: Array, factor: Callable[[int], float]) -> Term:
    """``factor(size) * sum((activation - target)^2)`` as a Term with respect to ``activation``."""
    difference = activation - target
    scale = factor(activation.size)
    return Term(float(scale * np.sum(difference**2)), 2 * scale * difference)


def total_variation_keras(image: Array) -> Term:
    """Sum of (dy^2 + dx^2)^1.25 over all but the last row and column (the Keras example)."""
    corner = image[:, :-1, :-1]
    dy, dx = corner - image[:, 1:, :-1], corner - image[:, :-1, 1:]
    squares = dy**2 + dx**2
    slope = 2 * 1.25 * squares**0.25
    gradient = np.zeros_like(image)
    gradient[:, :-1, :-1] += slope * (dy + dx)
    gradient[:, 1:, :-1] -= slope * dy
    gradient[:, :-1, 1:] -= slope * dx
    return Term(float(np.sum(squares**1.25)), gradient)


def total_variation_l1(image: Array) -> Term:
    """Sum of |dy| plus sum of |dx| (``tf.image.total_variation``); sign(0) = 0 in the gradient."""
    return _anisotropic(image, np.abs, np.sign)


def total_variation_squared(image: Array) -> Term:
    """Sum of dy^2 plus sum of dx^2."""
    return _anisotropic(image, np.square, lambda difference: 2 * difference)


def _anisotropic(
    image: Array, cost: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Term:
    dy, dx = np.diff(image, axis=1), np.diff(image, axis=2)
    gradient = np.zeros_like(image)
    gradient[:, 1:] += slope(dy)
    gradient[:, :-1] -= slope(dy)
    gradient[:, :, 1:] += slope(dx)
    gradient[:, :, :-1] -= slope(dx)
    return Term(float(np.sum(cost(dy)) + np.sum(cost(dx))), gradient)


# --- the recipes -----------------------------------------------------------------------------


def _coursera_style(sizes: Sizes) -> StyleScale:
    """1 / (4 C^2 (H W)^2); a style map of another size is scaled to the generated one's size."""
    factor = 1 / (4 * sizes.channels**2 * sizes.generated**2)
    return StyleScale(factor, 1, sizes.generated / sizes.style)


def _keras_style(sizes: Sizes) -> StyleScale:
    """1 / (4 * 3^2 * (rows * columns)^2): channels and size are the image's, not the layer's."""
    return StyleScale(1 / (4 * 3**2 * sizes.pixels**2), 1, 1)


def _tf_eager_style(sizes: Sizes) -> StyleScale:
    """Gram / (H W), each by its own map's size; mean over C x C."""
    return StyleScale(1 / sizes.channels**2, 1 / sizes.generated, 1 / sizes.style)


def _tf2_blog_style(sizes: Sizes) -> StyleScale:
    """Gram / C, then the mean over C x C of the squares / (2 C C C)^2."""
    C = sizes.channels
    return StyleScale(1 / C**2 / (2 * C * C * C) ** 2, 1 / C, 1 / C)


@dataclass(frozen=True)
class Formula:
    """The loss of a recipe; ``dataclasses.replace`` gives it other layers, weights or pooling.

    total = content_weight * content + style_weight * style + tv_weight * total_variation, where
    style = style_share * sum of the layers' costs. ``style_share`` None means 1 / layers: 1/5 in
    every publication that averages, and what their code says for another number of layers.
    """

    content_factor: Callable[[int], float]
    style_scale: Callable[[Sizes], StyleScale]
    content_weight: float
    style_weight: float
    tv_weight: float = 0.0
    style_share: float | None = None
    content_layer: str = "relu5_2"
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    pooling: Pooling = "max"
    padding: Padding = "VALID"


def _one(size: int) -> float:
    return 1.0


def _quarter_mean(size: int) -> float:
    return 1 / (4 * size)


def _mean(size: int) -> float:
    return 1 / size


FORMULAS: dict[str, Formula] = {
    "coursera": Formula(
        content_factor=_quarter_mean,
        style_scale=_coursera_style,
        content_weight=10,
        style_weight=40,
        content_layer="relu4_2",
        pooling="avg",
        padding="SAME",
    ),
    "keras_blog": Formula(_one, _keras_style, content_weight=0.025, style_weight=1, tv_weight=1),
    # The book's edition of the same example, which printed the numbers.
    "keras_lbfgs": Formula(
        _one, _keras_style, content_weight=0.025, style_weight=1, tv_weight=1e-4
    ),
    "keras_io": Formula(
        _one, _keras_style, content_weight=2.5e-8, style_weight=1e-6, tv_weight=1e-6
    ),
    "tf_eager": Formula(_mean, _tf_eager_style, content_weight=1e3, style_weight=1e-2),
    "tf2_blog": Formula(
        _mean,
        _tf2_blog_style,
        content_weight=1e-3,
        style_weight=1,
        style_share=1,
        content_layer="relu4_2",
    ),
}


def loss_and_gradient(
    recipe: str | Formula,
    image: Array,
    content: Array,
    style: Array,
    kernels: Arrays,
    biases: Arrays,
) -> tuple[dict[str, float], Array]:
    """Loss terms of a recipe and the gradient of their total with respect to ``image``.

    Args:
        recipe: a name in :data:`FORMULAS`, or a formula with other layers or weights.
        image: the generated image, [1, height, width, 3], preprocessed as the recipe does.
        content: of the same shape.
        style: [1, any height, any width, 3].

    Returns:
        (terms, gradient). Terms are *unweighted* ``content``, ``style`` (with its share),
        ``style/relu1_1`` ... (without), ``total_variation`` where the recipe has one, and
        the weighted sum ``total``.
    """
    formula = FORMULAS[recipe] if isinstance(recipe, str) else recipe
    ways = (kernels, biases, formula.pooling, formula.padding)
    deepest = max(*formula.style_layers, formula.content_layer)
    generated = forward(image, *ways, deepest)
    content_target = forward(content, *ways, formula.content_layer)[formula.content_layer]
    style_targets = forward(style, *ways, max(formula.style_layers))
    share = formula.style_share
    share = 1 / len(formula.style_layers) if share is None else share

    term = content_term(generated[formula.content_layer], content_target, formula.content_factor)
    terms = {"content": term.value, "style": 0.0}
    gradients = {formula.content_layer: formula.content_weight * term.gradient}
    pixels = image.shape[1] * image.shape[2]
    for layer in formula.style_layers:
        term = style_term(generated[layer], style_targets[layer], formula.style_scale, pixels)
        terms[f"style/{layer}"] = term.value
        terms["style"] += share * term.value
        gradients[layer] = gradients.get(layer, 0) + formula.style_weight * share * term.gradient
    gradient = backward(generated, gradients, kernels, formula.pooling, formula.padding)
    terms["total"] = formula.content_weight * terms["content"]
    terms["total"] += formula.style_weight * terms["style"]
    if formula.tv_weight:
        term = total_variation_keras(image)
        terms["total_variation"] = term.value
        terms["total"] += formula.tv_weight * term.value
        gradient = gradient + formula.tv_weight * term.gradient
    return terms, gradient


# --- optimisers ------------------------------------------------------------------------------

Gradient = Callable[[Array], Array]

#: Default of each implementation; all that their Adams differ in.
ADAM_EPSILON = {"tf1": 1e-8, "keras": 1e-7}


@dataclass
class Adam:
    """Adam as TensorFlow 1 and as Keras 2 and 3 compute it: one rule.

    All of them use the second form of the paper (arXiv:1412.6980, end of section 2): the step size
    carries both bias corrections and epsilon is added to the root of the uncorrected v. ``form``
    only says whose default an ``epsilon`` of None stands for.
    """

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float | None = None
    form: Literal["tf1", "keras"] = "tf1"
    updates: int = field(default=0, init=False)
    m: Array | float = field(default=0.0, init=False)
    v: Array | float = field(default=0.0, init=False)

    def update(self, x: Array, gradient: Array) -> Array:
        """The next x. Between updates the caller may change x, for instance clip it."""
        epsilon = ADAM_EPSILON[self.form] if self.epsilon is None else self.epsilon
        self.updates += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * gradient
        self.v = self.beta2 * self.v + (1 - self.beta2) * gradient**2
        corrections = np.sqrt(1 - self.beta2**self.updates) / (1 - self.beta1**self.updates)
        step: Array = self.lr * corrections * self.m / (np.sqrt(self.v) + epsilon)
        return x - step


def adam(gradient: Gradient, x0: Array, steps: int, lr: float, **settings: Any) -> Array:
    """x after ``steps`` updates of Adam from ``x0``; ``settings`` as in :class:`Adam`."""
    optimiser, x = Adam(lr, **settings), x0
    for _ in range(steps):
        x = optimiser.update(x, gradient(x))
    return x


def sgd(
    gradient: Gradient,
    x0: Array,
    steps: int,
    lr: float = 100.0,
    decay_rate: float = 0.96,
    decay_steps: int = 100,
) -> Array:
    """x after ``steps`` of gradient descent, the rate lr * decay_rate^(step / decay_steps).

    Steps count from 0 and the exponent is not rounded down (Keras ExponentialDecay, not staircase).
    """
    x = x0
    for step in range(steps):
        x = x - lr * decay_rate ** (step / decay_steps) * gradient(x)
    return x


# --- checks ----------------------------------------------------------------------------------


def central_differences(
    function: Callable[[Array], float],
    x: Array,
    directions: Iterable[Array],
    step: float = 1e-4,
) -> Array:
    """Slopes of ``function`` at ``x`` along each of ``directions`` (shaped as x), float64.

    To be compared with ``np.sum(gradient * direction)``. A few random directions test every
    element of a gradient at once; a direction with a single 1 in it tests one.
    """
    slopes = [(function(x + step * d) - function(x - step * d)) / (2 * step) for d in directions]
    return np.array(slopes)
