"""The oracle judged by itself, by the published numbers and by TensorFlow, before it judges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import Array
from PIL import Image
from threadpoolctl import threadpool_limits

#: Mean pixel in RGB (the assignment's CONFIG.MEANS, a float32 constant there by way of the .mat).
MEAN_RGB = np.array((123.68, 116.779, 103.939), np.float32)

POOLINGS = [(pooling, padding) for pooling in ("avg", "max") for padding in ("SAME", "VALID")]

#: content, style, total variation weights and share of a style layer, as published.
PUBLISHED_WEIGHTS = {
    "coursera": (10, 40, 0, 0.2),
    "keras_blog": (0.025, 1.0, 1.0, 0.2),
    "keras_lbfgs": (0.025, 1.0, 1e-4, 0.2),
    "keras_io": (2.5e-8, 1e-6, 1e-6, 0.2),
    "tf_eager": (1e3, 1e-2, 0, 0.2),
    "tf2_blog": (1e-3, 1.0, 0, 1.0),
}


def literal_gram(activation: Array) -> Array:
    return np.einsum("hwi,hwj->ij", activation[0], activation[0])


def literal_style_cost(recipe: str, generated: Array, style: Array, rows: int, cols: int) -> float:
    """The published style cost of one layer, spelt out once more and not factored."""
    GG, GS = literal_gram(generated), literal_gram(style)
    C = generated.shape[3]
    HW, HW_style = (a.shape[1] * a.shape[2] for a in (generated, style))
    if recipe == "coursera":
        return np.sum((GS * HW / HW_style - GG) ** 2) / (4 * C**2 * HW**2)
    if recipe == "tf_eager":
        return np.mean((GG / HW - GS / HW_style) ** 2)
    if recipe == "tf2_blog":
        return np.mean((GS / C - GG / C) ** 2 / (2 * C * C * C) ** 2)
    return np.sum((GS - GG) ** 2) / (4 * 3**2 * (rows * cols) ** 2)


def literal_content_cost(recipe: str, generated: Array, content: Array) -> float:
    squares = (generated - content) ** 2
    if recipe == "coursera":
        return np.sum(squares) / (4 * squares.size)
    return np.mean(squares) if recipe.startswith("tf") else np.sum(squares)


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """On a busy machine the threads of many small products wait for each other: 10x slower."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def tiny() -> tuple[dict[str, Array], dict[str, Array]]:
    return oracle.tiny_network(seed=7)


@pytest.fixture(scope="module")
def pictures() -> tuple[Array, Array, Array]:
    """Generated and content image of odd sizes, and a style image of another size."""
    generator = np.random.default_rng(11)
    shapes = (1, 21, 17, 3), (1, 21, 17, 3), (1, 18, 23, 3)
    return tuple(generator.uniform(-120, 130, shape) for shape in shapes)


def slopes_agree(function: Callable[[Array], float], x: Array, gradient: Array, rtol: float):
    """``gradient`` equals the central differences of ``function`` along three directions."""
    directions = np.random.default_rng(5).standard_normal((3, *x.shape))
    measured = oracle.central_differences(function, x, directions)
    expected = [np.sum(gradient * direction) for direction in directions]
    np.testing.assert_allclose(measured, expected, rtol=rtol)


# --- by hand and by central differences ------------------------------------------------------


def test_central_differences_of_a_cubic():
    x = np.array([1.0, 2.0])
    slopes = oracle.central_differences(lambda x: np.sum(x**3), x, np.eye(2))
    np.testing.assert_allclose(slopes, [3, 12], rtol=1e-7)


@pytest.mark.parametrize(
    ("pooling", "padding", "expected"),
    [
        # Rows 1 2 3 / 4 5 6 / 7 8 9; at the edge SAME averages the two cells or one that exist.
        ("avg", "SAME", [[3, 4.5], [7.5, 9]]),
        ("avg", "VALID", [[3]]),
        ("max", "SAME", [[5, 6], [8, 9]]),
        ("max", "VALID", [[5]]),
    ],
)
def test_pooling_of_an_odd_size(pooling, padding, expected):
    identity = np.zeros((3, 3, 3, 3))
    identity[1, 1] = np.eye(3)
    kernels = dict.fromkeys(("conv1_1", "conv2_1"), identity)
    biases = dict.fromkeys(kernels, np.zeros(3))
    image = np.repeat(np.arange(1.0, 10).reshape(1, 3, 3, 1), 3, axis=3)
    pooled = oracle.forward(image, kernels, biases, pooling, padding)["relu2_1"]
    np.testing.assert_array_equal(pooled[0, :, :, 1], expected)


def test_activations_stop_at_the_deepest(tiny):
    image = np.ones((1, 6, 6, 3), np.float32)
    activations = oracle.forward(image, *tiny, deepest="relu2_2")
    assert list(activations) == ["relu1_1", "relu1_2", "relu2_1", "relu2_2"]
    assert activations["relu2_2"].shape == (1, 3, 3, 5)
    assert activations["relu2_2"].dtype == np.float32
    with pytest.raises(ValueError, match="relu6_1"):
        oracle.forward(image, *tiny, deepest="relu6_1")


@pytest.mark.parametrize(("pooling", "padding"), POOLINGS)
@pytest.mark.parametrize("recipe", oracle.FORMULAS)
def test_gradient_of_a_recipe(recipe, pooling, padding, tiny, pictures):
    image, content, style = pictures
    formula = replace(oracle.FORMULAS[recipe], pooling=pooling, padding=padding)

    def total(x: Array) -> float:
        return oracle.loss_and_gradient(formula, x, content, style, *tiny)[0]["total"]

    terms, gradient = oracle.loss_and_gradient(formula, image, content, style, *tiny)
    assert all(value > 0 for value in terms.values())  # no dead layer makes this an empty test
    slopes_agree(total, image, gradient, rtol=1e-6)


@pytest.mark.parametrize("recipe", oracle.FORMULAS)
def test_each_network_term_reaches_the_gradient(recipe, tiny, pictures):
    """Content alone and each style layer alone: a total can hide a small term's wrong slope."""
    full = oracle.FORMULAS[recipe]
    alone = [replace(full, style_weight=0, tv_weight=0)]
    alone += [
        replace(full, content_weight=0, tv_weight=0, style_layers=(layer,))
        for layer in full.style_layers
    ]
    image, content, style = pictures
    for formula in alone:

        def total(x: Array, formula: oracle.Formula = formula) -> float:
            return oracle.loss_and_gradient(formula, x, content, style, *tiny)[0]["total"]

        _, gradient = oracle.loss_and_gradient(formula, image, content, style, *tiny)
        assert np.abs(gradient).max() > 0
        slopes_agree(total, image, gradient, rtol=1e-5)


def test_content_and_style_may_share_a_layer(tiny, pictures):
    image, content, style = pictures
    formula = replace(oracle.FORMULAS["coursera"], content_layer="relu3_1")

    def total(x: Array) -> float:
        return oracle.loss_and_gradient(formula, x, content, style, *tiny)[0]["total"]

    _, gradient = oracle.loss_and_gradient(formula, image, content, style, *tiny)
    slopes_agree(total, image, gradient, rtol=1e-6)


@pytest.mark.parametrize("recipe", PUBLISHED_WEIGHTS)
def test_terms_are_the_published_formulas(recipe, tiny, pictures):
    image, content, style = pictures
    terms, _ = oracle.loss_and_gradient(recipe, image, content, style, *tiny)
    way = ("avg", "SAME") if recipe == "coursera" else ("max", "VALID")
    of_image, of_content, of_style = (oracle.forward(x, *tiny, *way) for x in pictures)
    content_layer = "relu4_2" if recipe in ("coursera", "tf2_blog") else "relu5_2"
    layer_costs = [
        literal_style_cost(recipe, of_image[layer], of_style[layer], *image.shape[1:3])
        for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    ]
    alpha, beta, gamma, share = PUBLISHED_WEIGHTS[recipe]
    expected = {
        "content": literal_content_cost(recipe, of_image[content_layer], of_content[content_layer]),
        "style": share * sum(layer_costs),
    }
    expected["total"] = alpha * expected["content"] + beta * expected["style"]
    if gamma:
        expected["total_variation"] = literal_total_variation(image, lambda a, b: (a + b) ** 1.25)
        expected["total"] += gamma * expected["total_variation"]
    assert {name for name in terms if "/" not in name} == set(expected)
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-12), name


def literal_total_variation(image: Array, cost: Callable[[float, float], float]) -> float:
    """Sum of cost(dy^2, dx^2) over [:-1, :-1], pixel by pixel."""
    _, height, width, channels = image.shape
    total = 0.0
    for y in range(height - 1):
        for x in range(width - 1):
            for c in range(channels):
                here = image[0, y, x, c]
                total += cost(
                    (here - image[0, y + 1, x, c]) ** 2, (here - image[0, y, x + 1, c]) ** 2
                )
    return total


def test_anisotropic_total_variations_by_hand():
    image = np.array([[0.0, 3.0], [1.0, 8.0]])[np.newaxis, :, :, np.newaxis]
    assert oracle.total_variation_l1(image).value == 1 + 5 + 3 + 7
    assert oracle.total_variation_squared(image).value == 1 + 25 + 9 + 49


@pytest.mark.parametrize(
    "variation",
    [oracle.total_variation_keras, oracle.total_variation_l1, oracle.total_variation_squared],
)
def test_gradient_of_total_variation(variation, pictures):
    image = pictures[0]
    slopes_agree(lambda x: variation(x).value, image, variation(image).gradient, rtol=1e-7)


def test_total_variation_of_a_flat_image_has_no_slope():
    flat = np.full((1, 4, 5, 3), 7.0)
    value, gradient = oracle.total_variation_keras(flat)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_first_two_steps_of_adam_by_hand():
    # With beta1 = beta2 = 1/2 and a gradient of 4, (m, v) is (2, 8) and then (3, 12).
    root = np.sqrt
    first = 10 * (root(0.5) / 0.5) * 2 / (root(8) + 0.25)
    second = 10 * (root(0.75) / 0.75) * 3 / (root(12) + 0.25)
    settings = {"lr": 10, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.25}
    x = oracle.adam(lambda x: np.full_like(x, 4.0), np.zeros(1), 2, **settings)
    np.testing.assert_allclose(x, -(first + second), rtol=1e-14)


def test_sgd_decays_without_stairs():
    x = oracle.sgd(np.ones_like, np.zeros(2), steps=3)
    np.testing.assert_allclose(x, -100 * (1 + 0.96**0.01 + 0.96**0.02), rtol=1e-14)


# --- published numbers -----------------------------------------------------------------------


def published_initial_image(content: Array) -> tuple[Array, Array]:
    """(image, noise) of the assignment: 0.6 noise + 0.4 content after seed 3 and two randn."""
    legacy = np.random.RandomState(3)
    legacy.randn()
    legacy.randn()
    noise = legacy.uniform(-20, 20, content.shape).astype(np.float32)
    return noise * np.float32(0.6) + content * 0.4, noise


@pytest.fixture(scope="module")
def blocks_1_to_3(reference: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Kernels in the channel order of the file, BGR, and biases."""
    with np.load(reference / "vgg19" / "vgg19_conv1_1_to_conv3_4.npz") as stored:
        names = sorted({name.split("/")[0] for name in stored.files})
        kernels = {name: stored[f"{name}/kernel"] for name in names}
        return kernels, {name: stored[f"{name}/bias"] for name in names}


@pytest.fixture(scope="module")
def blocks_1_to_3_rgb(blocks_1_to_3) -> tuple[dict[str, Array], dict[str, Array]]:
    kernels, biases = blocks_1_to_3
    return {**kernels, "conv1_1": kernels["conv1_1"][:, :, ::-1]}, biases


@pytest.fixture(scope="module")
def coursera_images(reference: Path) -> dict[str, Array]:
    folder = reference / "coursera"
    images = {}
    for role, name in (("content", "louvre_small.jpg"), ("style", "monet.jpg")):
        pixels = np.asarray(Image.open(folder / name).convert("RGB"))
        images[role] = (pixels - MEAN_RGB)[np.newaxis].astype(np.float64)
    images["initial"], _ = published_initial_image(images["content"])
    return images


@pytest.fixture(scope="module")
def coursera_activations(coursera_images, blocks_1_to_3_rgb) -> dict[str, dict[str, Array]]:
    """In float32, as published; float64 takes twice the time and moves the costs by 4e-7."""
    return {
        role: oracle.forward(image.astype(np.float32), *blocks_1_to_3_rgb, "avg", "SAME")
        for role, image in coursera_images.items()
    }


def test_noise_of_the_initial_image():
    _, noise = published_initial_image(np.zeros((1, 300, 400, 3)))
    np.testing.assert_array_equal(
        noise.ravel()[:3], np.array([-8.363811, 0.43310422, 15.717878], np.float32)
    )


def test_first_values_of_the_initial_image(coursera_images):
    np.testing.assert_allclose(
        coursera_images["initial"].ravel()[:3],
        [-44.4902868, -22.4517372, 14.2551258],
        rtol=0,
        atol=5e-8,  # the digits printed
    )


@pytest.mark.parametrize(
    ("layer", "cost"),
    [("relu1_1", 292614.9), ("relu2_1", 1.971335e7), ("relu3_1", 1.075871e7)],
)
def test_published_style_costs(coursera_activations, layer, cost):
    generated, style = (coursera_activations[role][layer] for role in ("initial", "style"))
    scale = oracle.FORMULAS["coursera"].style_scale
    term = oracle.style_term(generated, style, scale, pixels=300 * 400)
    assert term.value == pytest.approx(cost, rel=1e-6)


def test_published_content_cost(coursera_activations):
    generated, content = (coursera_activations[role]["relu3_4"] for role in ("initial", "content"))
    term = oracle.content_term(generated, content, oracle.FORMULAS["coursera"].content_factor)
    assert term.value == pytest.approx(17206.22, rel=1e-6)


@pytest.mark.parametrize(
    ("layer", "style", "content"),
    [
        ("relu1_1", 18.979162, 25.599733),
        ("relu1_2", 95.2089, 108.914749),
        ("relu2_1", 87.251419, 97.702583),
        ("relu2_2", 92.170692, 86.877357),
        ("relu3_1", 63.076336, 63.715946),
        ("relu3_4", 250.554138, 219.481796),
    ],
)
def test_published_mean_activations(coursera_activations, layer, style, content):
    means = (
        coursera_activations[role][layer].mean(dtype=np.float64) for role in ("style", "content")
    )
    np.testing.assert_allclose(list(means), [style, content], rtol=5e-7)


def test_published_activation_corners(reference, blocks_1_to_3):
    """The newer edition: pixels / 255 in RGB, no mean, given to kernels that expect BGR."""
    picture = Image.open(reference / "coursera" / "louvre_small.jpg").convert("RGB")
    pixels = np.asarray(picture.resize((400, 400), Image.Resampling.BICUBIC))
    activations = oracle.forward(
        pixels[np.newaxis] / 255, *blocks_1_to_3, "max", "VALID", deepest="relu3_1"
    )
    published = json.loads((reference / "published.json").read_text())
    published = published["coursera_tf2"]["activations_louvre_400x400"]
    ends = [0, 1, 2, -3, -2, -1]
    for block in (1, 2, 3):
        expected = published[f"block{block}_conv1"]
        activation = activations[f"relu{block}_1"]
        assert list(activation.shape) == expected["shape"]
        corner = activation[0][np.ix_(ends, ends, ends)]
        np.testing.assert_allclose(corner, expected["corner"], rtol=1e-6, atol=5e-6)


def test_gradient_with_the_real_kernels(coursera_images, blocks_1_to_3_rgb):
    crops = {role: image[:, 100:117, 150:165] for role, image in coursera_images.items()}
    image, content, style = (crops[role] for role in ("initial", "content", "style"))
    formula = replace(
        oracle.FORMULAS["coursera"],
        content_layer="relu3_4",
        style_layers=("relu1_1", "relu2_1", "relu3_1"),
    )

    def total(x: Array) -> float:
        terms, _ = oracle.loss_and_gradient(formula, x, content, style, *blocks_1_to_3_rgb)
        return terms["total"]

    _, gradient = oracle.loss_and_gradient(formula, image, content, style, *blocks_1_to_3_rgb)
    slopes_agree(total, image, gradient, rtol=1e-6)


# --- TensorFlow ------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize(("pooling", "padding"), POOLINGS)
@pytest.mark.parametrize("size", [(21, 17), (19, 30), (16, 32)])
def test_tensorflow_has_the_same_activations_and_gradient(size, pooling, padding, tiny):
    import tensorflow as tf

    generator = np.random.default_rng(2)
    image = generator.uniform(-120, 130, (1, *size, 3))
    kernels, biases = tiny
    expected = oracle.forward(image, kernels, biases, pooling, padding)
    gradients = {
        name: generator.standard_normal(expected[name].shape)
        for name in ("relu1_2", "relu3_1", "relu5_4")
    }
    pool = {"avg": tf.nn.avg_pool2d, "max": tf.nn.max_pool2d}[pooling]
    with tf.GradientTape() as tape:
        start = x = tf.constant(image)
        tape.watch(start)
        weighted = []
        for convolution, kernel in kernels.items():
            name = convolution.replace("conv", "relu")
            if convolution in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
                x = pool(x, 2, 2, padding)
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + biases[convolution])
            np.testing.assert_allclose(x, expected[name], rtol=1e-11, atol=1e-11)
            if name in gradients:
                weighted.append(tf.reduce_sum(x * gradients[name]))
        objective = tf.add_n(weighted)
    gradient = oracle.backward(expected, gradients, kernels, pooling, padding)
    np.testing.assert_allclose(gradient, tape.gradient(objective, start), rtol=1e-9, atol=1e-9)


@pytest.mark.tensorflow
def test_graded_cells_of_the_assignment(reference):
    """Content 6.7655926, the Gram matrix and style 9.190279, from TensorFlow 1's random tensors."""
    import tensorflow as tf

    def random_normal(shape: list[int], op_seed: int) -> Array:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.compat.v1.set_random_seed(1)
            tensor = tf.compat.v1.random_normal(shape, mean=1, stddev=4, seed=op_seed)
            return session.run(tensor).astype(np.float64)

    published = json.loads((reference / "published.json").read_text())
    published = published["coursera_tf1"]["graded_cells"]
    first, second = (random_normal([1, 4, 4, 3], op_seed) for op_seed in (3, 9))
    formula = oracle.FORMULAS["coursera"]
    content = oracle.content_term(second, first, formula.content_factor)
    style = oracle.style_term(second, first, formula.style_scale, pixels=16)
    assert content.value == pytest.approx(published["J_content"], rel=1e-6)
    assert style.value == pytest.approx(published["J_style_layer"], rel=1e-6)
    features = random_normal([3, 2], 3).T.reshape(1, 2, 1, 3)
    np.testing.assert_allclose(oracle.gram(features), published["gram"], rtol=1e-6)


def gradient_of_a_bowl(x: Array) -> Array:
    """Of sum(k x^2 / 2) with curvatures far apart; linear in x, for NumPy and TensorFlow alike."""
    return x * np.array([1e-3, 0.1, 2.0, 30.0])


#: Powers of two are exact in float32, in which the optimisers of TensorFlow keep their settings.
EXACT_ADAM = {"lr": 0.5, "beta1": 0.875, "beta2": 0.9375, "epsilon": 2.0**-6}
BOWL_START = np.array([5.0, -3.0, 0.25, 1.0])


@pytest.mark.tensorflow
def test_adam_of_tensorflow_1():
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.Variable(BOWL_START, use_resource=True)
        optimiser = tf.compat.v1.train.AdamOptimizer(
            EXACT_ADAM["lr"], EXACT_ADAM["beta1"], EXACT_ADAM["beta2"], EXACT_ADAM["epsilon"]
        )
        update = optimiser.apply_gradients([(gradient_of_a_bowl(x.read_value()), x)])
        session.run(tf.compat.v1.global_variables_initializer())
        for _ in range(25):
            session.run(update)
        found = session.run(x)
    expected = oracle.adam(gradient_of_a_bowl, BOWL_START, 25, **EXACT_ADAM)
    # TensorFlow 1 multiplies up its beta powers in float32 whatever the variable's dtype.
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_adam_of_keras(package):
    keras = pytest.importorskip(package)
    import tensorflow as tf

    assert keras.optimizers.Adam().epsilon == oracle.ADAM_EPSILON["keras"]
    x = tf.Variable(BOWL_START) if package == "tf_keras" else keras.Variable(BOWL_START, "float64")
    optimiser = keras.optimizers.Adam(
        EXACT_ADAM["lr"], EXACT_ADAM["beta1"], EXACT_ADAM["beta2"], epsilon=EXACT_ADAM["epsilon"]
    )
    for _ in range(25):
        gradient = tf.constant(gradient_of_a_bowl(np.asarray(x)))
        optimiser.apply_gradients([(gradient, x)])
    expected = oracle.adam(gradient_of_a_bowl, BOWL_START, 25, **EXACT_ADAM)
    np.testing.assert_allclose(np.asarray(x), expected, rtol=1e-12)


@pytest.mark.tensorflow
def test_sgd_of_keras():
    import tensorflow as tf
    import tf_keras

    # The gradient of the page's loss is small; here too, so that a rate of 100 converges.
    def gradient_of(x: Array) -> Array:
        return 1e-4 * gradient_of_a_bowl(x)

    schedule = tf_keras.optimizers.schedules.ExponentialDecay(100.0, 100, 0.96)
    optimiser = tf_keras.optimizers.SGD(schedule)
    x = tf.Variable(BOWL_START)
    for _ in range(250):
        optimiser.apply_gradients([(tf.constant(gradient_of(x.numpy())), x)])
    expected = oracle.sgd(gradient_of, BOWL_START, 250)
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-4)  # the schedule is float32


@pytest.mark.tensorflow
def test_total_variation_of_tensorflow(pictures):
    import tensorflow as tf

    found = tf.image.total_variation(tf.constant(pictures[0]))
    assert oracle.total_variation_l1(pictures[0]).value == pytest.approx(float(found[0]), rel=1e-12)
