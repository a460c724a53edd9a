"""Pictures that say how they were made, and are made again from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from smallruns import small_job, small_run
from typer.testing import CliRunner

from nst_graph.cli import app
from nst_graph.embedded import draw
from nst_graph.errors import NstGraphError, OutputError, PictureError, WeightsError
from nst_graph.images import read_metadata, read_picture, write_picture
from nst_graph.jobs import InvalidJobError, make_job
from nst_graph.origin import Origin, read_origin
from nst_graph.pipeline import RunResult, run
from nst_graph.plan import make_plan, settled
from nst_graph.rerun import compare, default_output, plan_rerun

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("rerun")
    write_picture(folder / "content.png", draw("landscape", 48, 64))
    return small_run(folder, content=str(folder / "content.png"))


def rewritten(source: Path, path: Path, **changes: Any) -> Path:
    """A copy of a picture, its account of itself changed; a change to None takes a part away."""
    account = {**json.loads(read_metadata(source)["nst_graph"]), **changes}
    account = {key: value for key, value in account.items() if value is not None}
    metadata = {"nst_graph": json.dumps(account)}
    write_picture(path, read_picture(source).pixels, metadata=metadata)
    return path


@pytest.mark.parametrize("extension", ["png", "tiff", "jpg", "webp"])
def test_pictures_of_every_format_carry_the_manifest(tmp_path: Path, extension: str) -> None:
    result = small_run(tmp_path, optimizer={"steps": 3}, picture={"format": extension})
    manifest = json.loads((result.directory / "manifest.json").read_text(encoding="utf-8"))
    for name, iteration in (
        (f"result.{extension}", 2),
        (f"images/iteration_000002.{extension}", 2),
    ):
        origin = read_origin(result.directory / name)
        assert (origin.file, origin.iteration) == (name, iteration)
        expected = {key: value for key, value in manifest["job"].items() if key != "output"}
        assert origin.job == expected
        assert origin.job_sha256 == manifest["job_sha256"]
        assert origin.inputs["style"].sha256 == manifest["inputs"]["style"]["sha256"]
        assert origin.inputs["content"].width == 48
        assert origin.weights.sha256 == manifest["weights"]["sha256"]
        assert origin.environment["tensorflow"] == manifest["environment"]["tensorflow"]
        assert str(tmp_path) not in read_metadata(result.directory / name)["nst_graph"]


def test_other_programs_see_it(made: RunResult, tmp_path: Path) -> None:
    with Image.open(made.picture) as image:
        assert json.loads(image.text["nst_graph"])["iteration"] == 6
        assert image.text["Software"].startswith("nst_graph ")
    tiff = tmp_path / "a.tiff"
    write_picture(tiff, draw("painting", 32, 32),
                  metadata=read_metadata(made.picture))  # fmt: skip
    with Image.open(tiff) as image:
        description = json.loads(image.tag_v2[270])  # ImageDescription
        assert json.loads(description["nst_graph"])["file"] == "result.png"
        assert image.tag_v2[305].startswith("nst_graph ")  # Software


@pytest.mark.parametrize("name", ["result.png", "images/iteration_000002.png", "side_by_side.png"])
def test_a_picture_is_made_again_pixel_for_pixel(
    made: RunResult, tmp_path: Path, name: str
) -> None:
    picture = made.directory / name
    origin = read_origin(picture)
    run(plan_rerun(picture, origin, tmp_path / "again"))
    found = compare(picture, origin, tmp_path / "again")
    assert found.difference is not None
    assert (found.difference.largest, found.difference.pixels) == (0, 0.0)
    assert found.changes == ()
    assert found.compared == tmp_path / "again" / name


def test_other_settings_are_compared_and_named(made: RunResult, tmp_path: Path) -> None:
    picture = made.directory / "images" / "iteration_000004.png"
    origin = read_origin(picture)
    run(plan_rerun(picture, origin, tmp_path / "again", ["optimizer.learning_rate=4.5"]))
    found = compare(picture, origin, tmp_path / "again")
    assert found.difference is not None
    old, new = (read_picture(p).pixels.astype(int) for p in (picture, found.compared or picture))
    assert found.difference.largest == np.abs(old - new).max() > 0
    assert found.difference.mean == pytest.approx(np.abs(old - new).mean())
    assert [line.split(" (")[0] for line in found.changes] == ["settings"]


def test_the_memory_mode_travels_and_is_taken_up_again(tmp_path: Path) -> None:
    """Tiles that were chosen by the memory there was are those of the rerun, where there is more.

    Two runs of the job are the same byte for byte, whatever else is known of the memory.
    """
    job = small_job(tmp_path, size=[80, 96])
    plan = settled(make_plan(make_job(job)), {"mode": "tiled", "tile_size": 64})
    picture = run(plan).picture
    origin = read_origin(picture)
    assert origin.memory is not None
    assert origin.memory.model_dump() == {"mode": "tiled", "tile_size": 64, "coarser": ()}
    done = CliRunner().invoke(app, ["rerun", str(picture), "--output", str(tmp_path / "again")])
    assert "computed in tiles of 64 pixels" in done.stdout, done.output
    assert (tmp_path / "again" / "result.png").read_bytes() == picture.read_bytes()
    assert compare(picture, origin, tmp_path / "again").changes == ()

    run(plan_rerun(picture, origin, tmp_path / "whole", ["session.memory=full"]))
    changes = compare(picture, origin, tmp_path / "whole").changes
    assert "computed: in tiles of 64 pixels then, as a whole now" in changes
    larger = plan_rerun(picture, origin, tmp_path / "larger", ["size=128"])
    assert larger.mode is None  # its memory is another


def test_pictures_of_before_say_nothing_of_memory(made: RunResult, tmp_path: Path) -> None:
    picture = rewritten(made.picture, tmp_path / "a.png", memory=None)
    origin = read_origin(picture)
    assert origin.memory is None
    assert plan_rerun(picture, origin, tmp_path / "again").mode is None
    assert compare(picture, origin, made.directory).changes == ()


def test_the_result_of_an_interrupted_run_meets_its_own_iteration(
    made: RunResult, tmp_path: Path
) -> None:
    """Its picture is that of iteration 4 of 7, which the complete run passes on its way."""
    way = made.directory / "images" / "iteration_000004.png"
    picture = rewritten(way, tmp_path / "result.png", file="result.png")
    found = compare(picture, read_origin(picture), made.directory)
    assert found.compared == way
    assert found.difference is not None
    assert found.difference.largest == 0
    odd = rewritten(way, tmp_path / "odd.png", file="result.png", iteration=3)
    found = compare(odd, read_origin(odd), made.directory)
    assert found.difference is None
    assert "iteration 3" in found.reason


def test_an_input_that_moved_or_changed_is_named(made: RunResult, tmp_path: Path) -> None:
    content = tmp_path / "photo.png"
    content.write_bytes((made.directory.parent / "content.png").read_bytes())
    account = json.loads(read_metadata(made.picture)["nst_graph"])
    account["job"]["content"] = account["inputs"]["content"]["path"] = str(content)
    picture = rewritten(made.picture, tmp_path / "a.png", **account)
    origin = read_origin(picture)
    assert plan_rerun(picture, origin, tmp_path / "again").content.name == str(content)

    moved = content.rename(tmp_path / "moved.png")
    with pytest.raises(PictureError, match=r"photo\.png") as caught:
        plan_rerun(picture, origin, tmp_path / "again")
    assert "content" in caught.value.where
    assert "--set content=PATH" in caught.value.remedy
    plan = plan_rerun(picture, origin, tmp_path / "again", [f"content={moved}"])
    assert plan.content.name == str(moved)

    write_picture(content, draw("painting", 48, 64))
    with pytest.raises(PictureError, match="is not what the picture was made from"):
        plan_rerun(picture, origin, tmp_path / "again")


def test_inputs_within_lists_are_found(made: RunResult, tmp_path: Path) -> None:
    """A whole list is what ``--set`` can give; the same path may stand in several places."""
    account = json.loads(read_metadata(made.picture)["nst_graph"])
    absent = str(tmp_path / "absent.png")
    facts = {**account["inputs"]["content"], "path": absent}
    inputs = {**account["inputs"], "style_2": facts, "mask_2": facts}
    styles = ["embedded:painting", {"picture": absent, "mask": absent}]
    job = {**account["job"], "style": styles}
    picture = rewritten(made.picture, tmp_path / "a.png", inputs=inputs, job=job)
    with pytest.raises(InvalidJobError, match=r"absent\.png") as caught:
        plan_rerun(picture, read_origin(picture), tmp_path / "again")
    problems = caught.value.problems
    assert [problem.where.split(": ")[-1] for problem in problems] == ["style_2", "mask_2"]
    for problem in problems:
        assert problem.remedy.startswith(f"put it back at {absent}")
        assert "--set 'style=[...]'" in problem.remedy
    given = ["style=[embedded:painting, embedded:landscape]"]
    assert plan_rerun(picture, read_origin(picture), tmp_path / "again", given)


def test_the_run_that_it_started_from_is_checked(made: RunResult, tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(made.directory, first)
    start = {"kind": "run", "run": str(first)}
    second = small_run(tmp_path, optimizer={"steps": 1}, initial_image=start)
    origin = read_origin(second.picture)
    assert plan_rerun(second.picture, origin, tmp_path / "again").initial is not None

    write_picture(first / "result.png", draw("painting", 48, 64))
    with pytest.raises(PictureError, match="is not what the picture was made from") as caught:
        plan_rerun(second.picture, origin, tmp_path / "again")
    assert caught.value.where.endswith(": initial")
    assert "--set initial_image.run=DIR" in caught.value.remedy
    for change in (f"initial_image.run={made.directory}", "initial_image.kind=content"):
        assert plan_rerun(second.picture, origin, tmp_path / "again", [change])


def test_it_is_not_made_over_itself(made: RunResult, tmp_path: Path) -> None:
    picture = made.directory / "images" / "iteration_000002.png"
    origin = read_origin(picture)
    (tmp_path / "link").symlink_to(made.directory)
    for output in (made.directory, picture.parent, tmp_path / "link"):
        with pytest.raises(OutputError, match="the picture itself would be replaced"):
            plan_rerun(picture, origin, output)
    aside = tmp_path / "run.previous" / "result.png"
    aside.parent.mkdir()
    aside.write_bytes(made.picture.read_bytes())
    with pytest.raises(OutputError, match="the picture itself would be replaced"):
        plan_rerun(aside, read_origin(aside), tmp_path / "run")


def test_other_kernels_are_refused(made: RunResult, tmp_path: Path) -> None:
    weights = json.loads(read_metadata(made.picture)["nst_graph"])["weights"]
    picture = rewritten(made.picture, tmp_path / "a.png", weights={**weights, "source": "keras"})
    with pytest.raises(WeightsError, match="was made with 'keras'") as caught:
        plan_rerun(picture, read_origin(picture), tmp_path / "again")
    assert "weights.source=keras" in caught.value.remedy
    gone = {**weights, "path": str(tmp_path / "vgg.mat")}
    picture = rewritten(made.picture, tmp_path / "b.png", weights=gone)
    with pytest.raises(WeightsError, match=r"vgg\.mat"):
        plan_rerun(picture, read_origin(picture), tmp_path / "again")
    assert plan_rerun(picture, read_origin(picture), tmp_path / "x", ["weights.source=random"])


@pytest.mark.parametrize(
    "changes",
    [
        {"job": 3},
        {"job": None},
        {"inputs": {"content": {"path": 1}}},
        {"iteration": "4"},
        {"memory": {"mode": "tiled", "tile_size": 17}},
        {"job": {"recipe": "nope"}},
        {"job": {"recipe": "coursera", "content": "a", "style": ["b"], "size": {}}},
        {"job": {"recipe": "coursera", "content": "a\0b", "style": "c"}, "inputs": {}},
        {
            "job": {"recipe": "coursera", "content": "x\0", "style": "embedded:painting"},
            "inputs": {"content": {"path": "x\0", "sha256": "", "height": -1, "width": 0}},
        },
    ],
)
def test_damaged_accounts_are_refused(
    made: RunResult, tmp_path: Path, changes: dict[str, Any]
) -> None:
    picture = rewritten(made.picture, tmp_path / "a.png", **changes)
    with pytest.raises(NstGraphError):
        plan_rerun(picture, read_origin(picture), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_pictures_that_say_nothing(made: RunResult, tmp_path: Path) -> None:
    write_picture(tmp_path / "plain.png", draw("painting", 32, 32))
    with pytest.raises(PictureError, match="does not say how it was made"):
        read_origin(tmp_path / "plain.png")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(made.picture.read_bytes()[:40])
    with pytest.raises(PictureError):
        read_origin(damaged)
    write_picture(tmp_path / "half.png", draw("painting", 32, 32), metadata={"nst_graph": "{"})
    with pytest.raises(PictureError, match="damaged"):
        read_origin(tmp_path / "half.png")


def test_where_it_goes_unless_told(made: RunResult, tmp_path: Path) -> None:
    origin: Origin = read_origin(made.directory / "images" / "iteration_000002.png")
    beside = made.directory.with_name("run.rerun")
    assert default_output(made.directory / origin.file, origin) == beside
    assert default_output(tmp_path / "sent.png", origin) == tmp_path / "sent.rerun"
