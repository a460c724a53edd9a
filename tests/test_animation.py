"""Saved images as animations."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from profiles import rgb_profile
from typer.testing import CliRunner

from nst_graph.animation import write_animation
from nst_graph.cli import app
from nst_graph.errors import ConfigError, OutputError, PictureError
from nst_graph.images import read_picture, write_picture
from nst_graph.jobs import make_job
from nst_graph.plan import make_plan

JOB = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "output": "runs/x",
    "weights": {"source": "random"},
}

#: Greys of the frames of the run below; the last is the result's.
GREYS = (0, 60, 120, 180, 240)


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A run's images, 4 on the way and the result, 33 x 51 pixels."""
    (tmp_path / "images").mkdir()
    account = {
        "nst_graph": "0.1.0",
        "job": {},
        "job_sha256": "",
        "inputs": {},
        "weights": {"source": "", "description": "", "sha256": "", "path": None},
        "environment": {},
    }
    for index, grey in enumerate(GREYS):
        name = f"images/iteration_{10 * index:06d}.png" if grey < 240 else "result.png"
        facts = {**account, "file": name, "iteration": 10 * index}
        pixels = np.full((33, 51, 3), grey, np.uint8)
        write_picture(tmp_path / name, pixels, metadata={"nst_graph": json.dumps(facts)})
    return tmp_path


def test_a_gif_shows_all_images_and_holds_the_first_and_the_last(run_directory: Path) -> None:
    path = write_animation(run_directory, "gif", fps=10)
    assert path == run_directory / "evolution.gif"
    greys, durations = [], []
    with Image.open(path) as image:
        assert image.size == (52, 32)
        assert image.info["loop"] == 0
        for index in range(image.n_frames):
            image.seek(index)
            greys.append(int(np.asarray(image.convert("RGB"))[16, 20, 0]))
            durations.append(image.info["duration"])
    assert greys == list(GREYS)
    assert durations == [1000, 100, 100, 100, 2500]


def test_colours_are_brought_to_srgb(run_directory: Path) -> None:
    pixels = np.full((33, 51, 3), (200, 60, 60), np.uint8)
    place = run_directory / "images" / "iteration_000000.png"
    write_picture(place, pixels, icc_profile=rgb_profile())
    expected = read_picture(place).in_srgb[16, 20].astype(int)
    assert np.abs(expected - (200, 60, 60)).max() > 10
    with Image.open(write_animation(run_directory, "gif")) as image:
        shown = np.asarray(image.convert("RGB"))[16, 20].astype(int)
    assert np.abs(shown - expected).max() <= 2


def test_an_mp4_shows_them_too(run_directory: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = write_animation(run_directory, "mp4", fps=10)
    reader = ffmpeg.read_frames(path)
    facts = next(reader)
    assert facts["source_size"] == (52, 32)
    frames = [np.frombuffer(frame, np.uint8).reshape(32, 52, 3) for frame in reader]
    greys = [float(frame.mean()) for frame in frames]
    assert len(greys) == 10 + 3 + 25
    expected = [GREYS[0]] * 10 + list(GREYS[1:4]) + [GREYS[4]] * 25
    np.testing.assert_allclose(greys, expected, atol=6)
    assert {item.name for item in run_directory.iterdir()} == {
        "images",
        "result.png",
        "evolution.mp4",
    }


def test_large_images_are_reduced_and_odd_sizes_made_alike(run_directory: Path) -> None:
    for path in run_directory.glob("images/*.png"):
        path.unlink()
    for number, shape in ((0, (500, 1001, 3)), (1, (250, 500, 3))):
        pixels = np.full(shape, 100 * number, np.uint8)
        write_picture(run_directory / "images" / f"iteration_{number:06d}.png", pixels)
    (run_directory / "result.png").unlink()
    write_picture(run_directory / "images" / "iteration_000002.png", np.zeros((500, 1001, 3), "u1"))
    with Image.open(write_animation(run_directory, "gif")) as image:
        assert image.size == (480, 240)
        assert image.n_frames == 3


def test_without_ffmpeg_the_remedy_is_told(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    with pytest.raises(ConfigError, match="imageio-ffmpeg") as caught:
        write_animation(run_directory, "mp4")
    assert "pip install 'nst_graph[video]'" in caught.value.remedy
    with pytest.raises(ConfigError, match="imageio-ffmpeg") as caught:
        make_plan(make_job({**JOB, "log": {"animation": "mp4"}}))
    assert "log.animation" in caught.value.where


def test_what_cannot_be_animated_is_refused(run_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown format 'webm'"):
        write_animation(run_directory, "webm")
    with pytest.raises(OutputError, match="fewer than two images"):
        write_animation(tmp_path / "absent", "gif")
    with pytest.raises(OutputError):
        write_animation(tmp_path / ("a" * 300), "gif")
    damaged = run_directory / "images" / "iteration_000010.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(PictureError):
        write_animation(run_directory, "gif")
    assert not (run_directory / "evolution.gif").exists()


def test_a_job_without_images_has_none_to_animate() -> None:
    with pytest.raises(ConfigError, match="no pictures to animate"):
        make_job({**JOB, "log": {"animation": "gif", "image_every": 0}})
    assert make_job({**JOB, "log": {"animation": "gif"}}).job.log.animation == "gif"


@pytest.mark.parametrize(
    ("overrides", "enough"),
    [
        (["optimizer.steps=2", "log.image_every=50"], True),  # the first and the last
        (["optimizer.steps=1", "log.image_every=50"], False),
        (["optimizer.steps=50", "log.image_every=50", "log.first_iteration=1"], False),
        (["optimizer.steps=51", "log.image_every=50", "log.first_iteration=1"], True),
        (["optimizer={name: lbfgs, segments: 1}"], False),
        (["optimizer={name: lbfgs, segments: 1, stream: evaluation}"], True),
        (["optimizer.steps=1", "sizes=[48, 64]", "log.image_every=50"], True),
    ],
)
def test_a_run_too_short_for_two_images_is_refused(overrides: list[str], enough: bool) -> None:
    loaded = make_job({**JOB, "log": {"animation": "gif"}}, overrides)
    if enough:
        make_plan(loaded)
        return
    with pytest.raises(ConfigError, match="too few pictures") as caught:
        make_plan(loaded)
    assert "log.image_every" in caught.value.where


@pytest.mark.tensorflow
def test_a_job_asks_for_it(tmp_path: Path) -> None:
    from smallruns import small_run

    log = {"losses_every": 2, "image_every": 2, "animation": "gif"}
    result = small_run(tmp_path, log=log)
    with Image.open(result.directory / "evolution.gif") as image:
        assert image.n_frames == 4
    done = CliRunner().invoke(app, ["animate", str(result.directory), "--fps", "20"])
    assert done.exit_code == 0, done.output
    assert "evolution.gif" in done.output.replace("\n", "")
