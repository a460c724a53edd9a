"""Whole runs of the Coursera recipe: small ones on random kernels, a real-size one on real ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matwriter import write_mat
from networks import real_weights

from nst_graph.artifacts import read_manifest
from nst_graph.errors import DivergedError, OutputError
from nst_graph.images import read_metadata, read_picture
from nst_graph.jobs import load_job, make_job
from nst_graph.pipeline import RunResult, run
from nst_graph.plan import Plan, make_plan

pytestmark = pytest.mark.tensorflow


def plan_of(folder: Path, *overrides: str, **settings: object) -> Plan:
    job = {
        "recipe": "coursera",
        "content": "embedded:landscape",
        "style": "embedded:painting",
        "size": 48,
        "output": str(folder / "run"),
        "weights": {"source": "random"},
        "optimizer": {"steps": 5},
        "log": {"losses_every": 2, "image_every": 2},
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 0.5, "relu2_1": 0.5},
        **settings,
    }
    return make_plan(make_job(job, overrides))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(plan_of(tmp_path_factory.mktemp("pipeline")))


def metrics_of(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_all_its_files(finished: RunResult) -> None:
    names = {path.name for path in finished.directory.iterdir()}
    assert names == {
        "images",
        "job.yaml",
        "losses.png",
        "manifest.json",
        "metrics.csv",
        "metrics.jsonl",
        "result.png",
        "run.log",
        "side_by_side.png",
    }
    kept = sorted(path.name for path in (finished.directory / "images").iterdir())
    assert kept == [f"iteration_{number:06d}.png" for number in (0, 2, 4)]


def test_metrics_are_read_after_the_update_and_fall(finished: RunResult) -> None:
    rows = metrics_of(finished.directory)
    assert [row["iteration"] for row in rows] == ["0", "2", "4"]
    assert [row["updates"] for row in rows] == ["1", "3", "5"]
    totals = [float(row["total"]) for row in rows]
    assert totals == sorted(totals, reverse=True)
    for row in rows:
        weighted = 10 * float(row["content"]) + 40 * float(row["style"])
        assert float(row["total"]) == pytest.approx(weighted, rel=1e-5)


def test_the_manifest_says_what_made_the_picture(finished: RunResult) -> None:
    manifest = read_manifest(finished.directory)
    assert manifest is not None
    assert manifest["status"] == "finished"
    assert manifest["job"]["losses"]["style_weight"] == 40.0
    assert manifest["weights"]["source"] == "random"
    assert manifest["weights"]["pretrained"] is False
    assert manifest["seed"] == 3
    assert manifest["steps"] == 5
    assert manifest["environment"]["device"] == "cpu"
    assert len(manifest["inputs"]["style"]["sha256"]) == 64
    assert manifest["losses"] == finished.losses


def test_every_output_names_the_weights(finished: RunResult) -> None:
    description = (read_manifest(finished.directory) or {})["weights"]["description"]
    assert "random" in description
    assert description in (finished.directory / "run.log").read_text(encoding="utf-8")
    for name in ("result.png", "side_by_side.png", "images/iteration_000002.png"):
        metadata = read_metadata(finished.directory / name)
        assert description in metadata["Description"]
        assert json.loads(metadata["nst_graph"])["weights"]["description"] == description


def test_the_result_is_the_last_image(finished: RunResult) -> None:
    result = read_picture(finished.picture).pixels
    last = read_picture(finished.directory / "images" / "iteration_000004.png").pixels
    assert result.shape == (36, 48, 3)
    np.testing.assert_array_equal(result, last)


def test_the_saved_job_repeats_the_run_bit_for_bit(finished: RunResult, tmp_path: Path) -> None:
    loaded = load_job(finished.directory / "job.yaml", [f"output={tmp_path / 'again'}"])
    again = run(make_plan(loaded))
    assert again.picture.read_bytes() == finished.picture.read_bytes()
    assert again.losses == finished.losses


def test_a_finished_run_is_not_overwritten_unasked(finished: RunResult) -> None:
    before = {path: path.read_bytes() for path in finished.directory.glob("*.*")}
    plan = plan_of(finished.directory.parent)
    with pytest.raises(OutputError, match="already holds a run"):
        run(plan)
    assert before == {path: path.read_bytes() for path in finished.directory.glob("*.*")}


def test_overwriting_keeps_the_old_run_until_the_new_is_complete(tmp_path: Path) -> None:
    first = run(plan_of(tmp_path, "optimizer.steps=1"))
    picture = first.picture.read_bytes()

    def interrupt(step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan_of(tmp_path), interrupt, overwrite=True)
    previous = tmp_path / "run.previous"
    assert (previous / "result.png").read_bytes() == picture
    manifest = read_manifest(tmp_path / "run")
    assert manifest is not None
    assert manifest["status"] == "interrupted"
    assert (tmp_path / "run" / "result.png").is_file()
    run(plan_of(tmp_path), overwrite=True)
    assert not previous.exists()


def test_a_foreign_directory_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="not a run's"):
        run(plan_of(tmp_path), overwrite=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_divergence_stops_with_the_last_good_picture(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "optimizer.learning_rate=1e30", "log.losses_every=1")
    with pytest.raises(DivergedError) as caught:
        run(plan)
    assert "iteration" in str(caught.value)
    manifest = read_manifest(tmp_path / "run")
    assert manifest is not None
    assert manifest["status"] == "diverged"


def test_divergence_at_once_leaves_no_picture_and_claims_none(tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        run(plan_of(tmp_path, "losses.style_weight=3e38", "log.read_losses=before_update"))
    assert not (tmp_path / "run" / "result.png").exists()
    assert "kept" not in str(caught.value)


def test_pictures_of_different_sizes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "style_size=[40, 70]", "optimizer.steps=1", "log.image_every=0")
    result = run(plan)
    assert not (result.directory / "images").exists()
    assert (read_manifest(result.directory) or {})["inputs"]["style"]["width"] == 70


@pytest.mark.slow
def test_the_assignments_job_on_a_mat_with_the_real_kernels(
    reference: Path, tmp_path: Path
) -> None:
    """400x300, real kernels of blocks 1-3 and seeded ones beyond, through a .mat of full size."""
    weights = real_weights(reference)
    layers = {name: (weights.kernels[name], weights.biases[name]) for name in weights.kernels}
    mat = write_mat(tmp_path / "vgg.mat", layers)
    config = Path(__file__).resolve().parents[1] / "configs" / "coursera.yaml"
    loaded = load_job(
        config,
        [
            f"content={reference / 'coursera' / 'louvre_small.jpg'}",
            f"style={reference / 'coursera' / 'monet.jpg'}",
            f"weights.path={mat}",
            f"output={tmp_path / 'run'}",
            "optimizer.steps=3",
            "optimizer.learning_rate=1e-6",
            "log.losses_every=1",
        ],
    )
    result = run(make_plan(loaded))
    assert read_picture(result.picture).pixels.shape == (300, 400, 3)
    # So small a learning rate leaves the initial image in place: its costs are the published ones.
    first = metrics_of(result.directory)[0]
    published = {"relu1_1": 292614.9, "relu2_1": 1.971335e7, "relu3_1": 1.075871e7}
    for name, value in published.items():
        assert float(first[f"style/{name}"]) == pytest.approx(value, rel=1e-5)
    manifest = read_manifest(result.directory)
    assert manifest is not None
    assert manifest["weights"]["known"] is False
