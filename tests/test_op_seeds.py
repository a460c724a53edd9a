"""Random ops numbered as TensorFlow 1 numbered them, and as TensorFlow 2 does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from nst_graph.losses import coursera_content  # noqa: E402
from nst_graph.op_seeds import tf1_op_seeds  # noqa: E402

SHAPE = (1, 4, 4, 3)


def seeds(graph: tf.Graph) -> list[tuple[int, int]]:
    """Graph seed and op seed of each random op."""
    return [
        (op.get_attr("seed"), op.get_attr("seed2"))
        for op in graph.get_operations()
        if op.type.startswith("Random")
    ]


def test_the_two_ops_of_a_graded_cell_get_seeds_3_and_9() -> None:
    with tf1_op_seeds(1) as random:
        random.normal(SHAPE, 1.0, 4.0)
        random.normal(SHAPE, 1.0, 4.0)
        assert seeds(tf.compat.v1.get_default_graph()) == [(1, 3), (1, 9)]


def test_every_op_of_the_graph_counts() -> None:
    with tf1_op_seeds(5) as random:
        tf.constant(0.0)
        random.uniform([2])
        random.uniform([2])
        # 1 constant; then for each: shape, ends, draw, difference, product, sum.
        assert seeds(tf.compat.v1.get_default_graph()) == [(5, 4), (5, 11)]


def test_the_same_lines_print_the_number_of_2017_or_another() -> None:
    with tf1_op_seeds(1) as random, tf.compat.v1.Session() as session:
        target, generated = (random.normal(SHAPE, 1.0, 4.0) for _ in range(2))
        numbered = session.run(coursera_content(generated, target))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(1)
        target, generated = (tf.compat.v1.random_normal(SHAPE, mean=1, stddev=4) for _ in range(2))
        unnumbered = session.run(coursera_content(generated, target))
    assert numbered == pytest.approx(6.76559, rel=1e-6)
    assert unnumbered == pytest.approx(7.6410227, rel=1e-6)


def test_uniform_equals_the_library_op_under_the_same_seeds() -> None:
    with tf1_op_seeds(7) as random, tf.compat.v1.Session() as session:
        drawn = session.run(random.uniform([50], -20.0, 20.0))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(7)
        library = session.run(tf.compat.v1.random_uniform([50], -20.0, 20.0, seed=3))
    np.testing.assert_array_equal(drawn, library)
    assert -20 <= drawn.min() < drawn.max() < 20


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_graph_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=str(seed)), tf1_op_seeds(seed):
        pass


def test_the_example_of_the_documentation_prints_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "op_seeds.md").read_text(encoding="utf-8")
    (example,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        if "tf1_op_seeds" in block
    )
    exec(compile(example, "docs/op_seeds.md", "exec"), {})
    assert float(capsys.readouterr().out) == pytest.approx(6.7655926, rel=1e-6)
