"""``nst-graph reproduce``: from the command line to the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import matwriter
import numpy as np
import pytest
from networks import real_weights, seeded_weights
from PIL import Image

import nst_graph.reproduce
from nst_graph.errors import ConfigError, NstGraphError, OutputError
from nst_graph.layers import BLOCK_CHANNELS
from nst_graph.reproduce import (
    GivenFiles,
    Report,
    Request,
    as_text,
    check_places,
    reproduce,
    targets,
    write_report,
)
from nst_graph.reproduce.expected import expected
from nst_graph.reproduce.inputs import find_inputs, share_out
from nst_graph.reproduce.rows import judge

SCHEMA = json.loads(
    (Path(nst_graph.reproduce.__file__).parent / "schema.json").read_text(encoding="utf-8")
)
#: pretrained/ of the tests: none.
NOWHERE = Path("no", "pretrained")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_GRAPH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nst_graph.cli", "reproduce", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )


def check_json(data: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(data)


def verdicts(report: Report, group: str) -> dict[str, str]:
    return {row.name: row.verdict for row in report.rows if row.group == group}


def metrics_of(target: str, iterations: int, change: Callable[[float], float] = float) -> str:
    """A table of the published losses, changed."""
    trace = targets()[target].trace
    assert trace is not None
    lines = ["iteration,updates,total,content,style"]
    for iteration in trace.iterations[:iterations]:
        values = [
            change(float(expected(target, f"{term}@{iteration}").value))
            for term in ("total", "content", "style")
        ]
        lines.append(",".join(map(repr, [iteration, iteration + 1, *values])))
    return "\n".join(lines) + "\n"


# --- the command -----------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize("target", ["coursera", "coursera-tf2"])
def test_graded_cells_need_no_file(target: str, tmp_path: Path) -> None:
    done = command(target, "--only", "graded", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 rows: 4 met, 0 deviate, 0 missing" in done.stdout
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    check_json(data)
    assert data["exit_code"] == 0
    assert {row["verdict"] for row in data["targets"][0]["rows"]} == {"met"}


def test_missing_inputs_are_named_and_are_no_pass(tmp_path: Path) -> None:
    done = command("all", "--only", "trace", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 3
    assert "0 met, 0 deviate, 90 missing" in done.stdout
    for target in targets().values():
        for picture in target.pictures.values():
            assert f"{picture.name}: not given" in done.stdout
            assert picture.sha256 in done.stdout
    assert "abdb57167f82a2a1fbab1e1c16ad9373411883f262a1a37ee5db2e6fb0044695" in done.stdout
    check_json(json.loads((tmp_path / "out.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cousera"], "did you mean 'coursera'"),
        (["coursera", "--only", "grated"], "did you mean 'graded'"),
        (["keras-io", "--only", "graded"], "keras-io has no group 'graded'"),
        (["coursera", "--json", "no/such/folder/out.json"], "is not a folder"),
        (["all", "--trace", "metrics.csv"], "belongs to one target"),
        (["coursera-tf2", "--trace", "metrics.csv"], "has no group 'trace'"),
        (["coursera", "--pictures", "nowhere"], "nowhere is not a folder"),
        (["coursera", "--trace", "nowhere.csv"], "cannot be read"),
        (["coursera", "--pictures", "a" * 300], "too long"),
    ],
)
def test_what_is_asked_wrongly_is_said_without_a_traceback(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "metrics.csv").write_text(metrics_of("coursera", 1), encoding="utf-8")
    request = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    with pytest.raises(NstGraphError) as error:
        check_places(Path(request["--json"]) if "--json" in request else None)
        reproduce(
            Request(
                arguments[0],
                GivenFiles(
                    pictures=Path(request["--pictures"]) if "--pictures" in request else None,
                    pretrained=NOWHERE,
                ),
                only=request.get("--only"),
                trace=tmp_path / request["--trace"] if "--trace" in request else None,
            )
        )
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_the_command_line_reports_such_errors(tmp_path: Path) -> None:
    done = command("cousera", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'coursera'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.tensorflow
def test_tf32_values_are_what_rounding_the_draws_to_tf32_gives() -> None:
    """No GPU needed: TF32 rounds the factors of a product to 10 bits, and sums in float32."""
    tf = pytest.importorskip("tensorflow")
    from nst_graph.losses import StyleShape, coursera_style, gram_matrix

    def draws(*shape: int, count: int) -> list[Any]:
        tf.random.set_seed(1)
        made = [tf.random.normal(shape, mean=1, stddev=4).numpy() for _ in range(count)]
        bits = [array.view(np.uint32) + np.uint32(1 << 12) for array in made]
        return [(each & np.uint32(0xFFFFE000)).view(np.float32) for each in bits]

    (matrix,) = draws(3, 2, count=1)
    gram = gram_matrix(tf.constant(matrix.T[np.newaxis, np.newaxis])).numpy()
    style, generated = map(gram_matrix, map(tf.constant, draws(1, 4, 4, 3, count=2)))
    cost = float(coursera_style(generated, style, StyleShape(3, 16, 16, 16)))
    for name, value in (("gram", gram), ("J_style_layer", cost)):
        row = expected("coursera-tf2", name)
        assert judge(row, value, tf32=True).verdict == "met"
        assert judge(row, value, tf32=False).verdict == "deviates"


# --- losses measured elsewhere ---------------------------------------------------------------


def judged(tmp_path: Path, table: str) -> Report:
    path = tmp_path / "metrics.csv"
    path.write_text(table, encoding="utf-8")
    return reproduce(Request("coursera", GivenFiles(pretrained=NOWHERE), trace=path))


def test_a_table_of_the_published_losses_is_met(tmp_path: Path) -> None:
    report = judged(tmp_path, metrics_of("coursera", 10))
    assert report.exit_code == 0
    assert len(report.rows) == 30


def test_a_shorter_table_says_what_is_left_out(tmp_path: Path) -> None:
    report = judged(tmp_path, metrics_of("coursera", 2))
    assert (report.exit_code, len(report.rows)) == (0, 6)
    assert len(report.targets[0].not_run) == 24
    assert "24 not run" in as_text(report)


@pytest.mark.tensorflow
def test_a_table_of_a_known_mistake_is_named(tmp_path: Path) -> None:
    trace = targets()["coursera"].trace
    assert trace is not None
    twice = trace.known_causes[0].terms
    lines = [f"{i},{twice['total'][n]}" for n, i in enumerate(trace.iterations)]
    report = judged(tmp_path, "\n".join(["iteration,total", *lines]))
    assert report.exit_code == 1
    diagnosis = report.targets[0].diagnosis
    assert diagnosis is not None
    assert [finding.cause for finding in diagnosis.findings] == ["noise_drawn_twice"]
    assert "the noise was drawn twice" in as_text(report)
    check_json(report.as_dict())


@pytest.mark.tensorflow
def test_losses_that_are_not_finite_deviate(tmp_path: Path) -> None:
    report = judged(tmp_path, "iteration,total,content,style\n0,nan,inf,1e8\n")
    assert set(verdicts(report, "trace").values()) == {"deviates"}
    check_json(json.loads(json.dumps(report.as_dict(), allow_nan=False)))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no columns"),
        ("step,loss\n0,1\n", "no columns"),
        ("iteration,total\n0.5,1\n", "not a whole number"),
        ("iteration,total\nzero,1\n", "not a whole number"),
        ("iteration,total\n7,1\n", "none of the published iterations"),
    ],
)
def test_a_table_that_says_nothing_is_an_error(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        judged(tmp_path, table)


# --- inputs ----------------------------------------------------------------------------------


def test_steps_that_come_to_no_published_iteration_are_an_error() -> None:
    files = GivenFiles(pretrained=NOWHERE)
    with pytest.raises(ConfigError, match="comes to none of the published iterations"):
        reproduce(Request("keras-io", files, steps=99))
    report = reproduce(Request("keras-io", files, steps=100))
    assert verdicts(report, "trace") == {"total@100": "missing"}


def test_files_that_do_not_exist_are_missing(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    files = GivenFiles(content=absent, style=absent, weights=absent, pretrained=NOWHERE)
    report = reproduce(Request("coursera", files, only="trace", steps=1))
    assert report.exit_code == 3
    assert sum("absent does not exist" in item for item in report.targets[0].missing) == 3


def test_of_several_targets_each_takes_its_own_picture(reference: Path) -> None:
    known = tuple(targets().values())
    given = GivenFiles(content=reference / "keras_io" / "paris.jpg")
    shares = share_out(known, given)
    assert [share.content is not None for share in shares] == [False, False, True, False]
    with pytest.raises(ConfigError, match="is no published style picture"):
        share_out(known, GivenFiles(style=reference / "keras_io" / "paris.jpg"))


@pytest.mark.tensorflow
def test_a_reencoded_picture_is_measured_and_named(reference: Path, tmp_path: Path) -> None:
    Image.open(reference / "coursera" / "louvre_small.jpg").save(tmp_path / "louvre_small.jpg")
    files = GivenFiles(pictures=tmp_path, pretrained=NOWHERE)
    report = reproduce(Request("coursera", files, only="weights"))
    (warning,) = report.warnings
    assert warning.startswith("louvre_small.jpg is not the published picture")
    start = next(row for row in report.rows if row.name == "initial_image")
    assert start.verdict == "deviates"
    assert start.note == "not published: louvre_small.jpg"
    assert report.exit_code == 1


@pytest.mark.tensorflow
def test_a_picture_with_the_same_pixels_is_met_but_never_silently(
    reference: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.png"
    Image.open(reference / "coursera" / "louvre_small.jpg").save(copy)
    report = reproduce(
        Request("coursera", GivenFiles(content=copy, pretrained=NOWHERE), only="weights")
    )
    start = next(row for row in report.rows if row.name == "initial_image")
    assert (start.verdict, start.note) == ("met", "not published: copy.png")
    assert len(report.warnings) == 1


# --- kernels of blocks 1-3 -------------------------------------------------------------------


def write_mat(path: Path, weights: Any) -> Path:
    return matwriter.write_mat(
        path, {name: (weights.kernels[name], weights.biases[name]) for name in weights.kernels}
    )


@pytest.fixture(scope="module")
def partial_mat(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .mat with the real kernels of blocks 1-3 and seeded ones beyond."""
    return write_mat(tmp_path_factory.mktemp("mat") / "partial.mat", real_weights(reference))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_blocks_1_to_3_are_met_and_deeper_rows_are_not(
    reference: Path, partial_mat: Path, tmp_path: Path
) -> None:
    done = command(
        "all",
        *("--pictures", reference, "--weights", partial_mat, "--only", "weights"),
        *("--json", "out.json", "--markdown", "out.md"),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    check_json(data)
    rows = {row["name"]: row for target in data["targets"] for row in target["rows"]}
    deep = {name for name in rows if name.startswith("corner/relu") and name[11] in "45"}
    assert len(deep) == 3
    for name, row in rows.items():
        assert row["verdict"] == ("deviates" if name in deep else "met"), row
        assert row["note"] == ("not published: partial.mat" if name in deep else "")
    assert data["warnings"][0].startswith("partial.mat is not the published weights file")
    page = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert "nst-graph reproduce all --weights partial.mat --pictures FOLDER" in page
    assert str(reference) not in page


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_trace_of_other_deep_kernels_points_to_the_weights(
    reference: Path, partial_mat: Path
) -> None:
    files = GivenFiles(pictures=reference, weights=partial_mat)
    seen = []

    class Watch:
        def __enter__(self) -> Callable[[Any], None]:
            return lambda step: seen.append(step.iteration)

        def __exit__(self, *exception: object) -> None:
            return None

    report = reproduce(
        Request("coursera", files, only="trace", steps=1), lambda target, evaluations: Watch()
    )
    assert seen == [0]
    assert verdicts(report, "trace") == dict.fromkeys(
        ["total@0", "content@0", "style@0"], "deviates"
    )
    diagnosis = report.targets[0].diagnosis
    assert diagnosis is not None
    assert [finding.cause for finding in diagnosis.findings] == ["inputs"]
    assert report.exit_code == 1
    check_json(report.as_dict())


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_file_of_transposed_kernels_is_named(reference: Path, tmp_path: Path) -> None:
    weights = real_weights(reference)
    kernels = {name: np.swapaxes(kernel, 0, 1) for name, kernel in weights.kernels.items()}
    mat = write_mat(tmp_path / "transposed.mat", replace(weights, kernels=kernels))
    trace = tmp_path / "metrics.csv"
    trace.write_text(metrics_of("coursera", 1, lambda value: 1.1 * value), encoding="utf-8")
    files = GivenFiles(pictures=reference, weights=mat)
    report = reproduce(Request("coursera", files, trace=trace))
    diagnosis = report.targets[0].diagnosis
    assert diagnosis is not None
    assert [finding.cause for finding in diagnosis.findings] == ["kernels_transposed"]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("target", "steps", "shorter", "iterations"),
    [
        ("coursera", 21, {}, [0, 20]),
        # The formula divides by the size of the image: at this one the published rate diverges.
        ("keras-io", 100, {"optimizer": {"learning_rate": 1e-4}}, [100]),
        ("keras-lbfgs", 3, {"optimizer": {"evaluations": 2}}, [0, 1, 2]),
    ],
)
def test_traces_read_losses_at_the_published_iterations(
    target: str,
    steps: int,
    shorter: dict[str, Any],
    iterations: list[int],
    reference: Path,
    partial_mat: Path,
    tmp_path: Path,
) -> None:
    """At a small size: the numbers are others, the iterations and terms are not."""
    from nst_graph.reproduce import trace

    entry = targets()[target]
    assert entry.trace is not None
    job = {**entry.trace.job, "size": [32, 40], "style_size": [32, 40], **shorter}
    files = GivenFiles(pictures=reference, weights=partial_mat)
    inputs = find_inputs(entry, entry.rows_of("trace"), files, [])
    assert not inputs.missing
    plan = trace.plan_of(replace(entry.trace, job=job), inputs, tmp_path / "run", steps)
    losses = trace.measure(plan, lambda step: None)
    due = [row for row in entry.rows_of("trace") if row.iteration in iterations]
    assert {row.iteration for row in due} == set(iterations) <= set(losses)
    for row in due:
        assert losses[row.iteration][row.name.partition("@")[0]] > 0


# --- files -----------------------------------------------------------------------------------


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    report = judged(tmp_path, metrics_of("coursera", 1))
    with pytest.raises(OutputError):
        write_report(report, tmp_path / "no" / "out.json", None, "")
    with pytest.raises(OutputError, match="is a folder"):
        check_places(tmp_path)
    with pytest.raises(OutputError, match="too long"):
        check_places(tmp_path / ("a" * 300) / "report.json")


@pytest.mark.tensorflow
def test_random_kernels_are_never_taken_for_the_published_ones() -> None:
    from nst_graph.reproduce.diagnosis import examine_kernels

    (finding,) = examine_kernels(seeded_weights(0, BLOCK_CHANNELS))
    assert finding.cause == "random_weights"
