"""Reports: one page, nothing beside it, and the numbers of the run in it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from profiles import rgb_profile
from smallruns import small_job, small_run
from typer.testing import CliRunner

from nst_graph.cli import app
from nst_graph.embedded import draw
from nst_graph.errors import DivergedError, OutputError
from nst_graph.frames import Frame, spread
from nst_graph.images import read_picture, write_picture
from nst_graph.jobs import make_job
from nst_graph.pipeline import RunResult, run
from nst_graph.plan import make_plan
from nst_graph.report import pictures, write_report
from nst_graph.report.curves import HEIGHT, WIDTH, chart
from nst_graph.report.settings import settings_of

pytestmark = pytest.mark.tensorflow

VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """A page's elements, text and nesting; fails where tags do not close."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.words)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def check(self) -> None:
        """Nothing external, every picture decodes and is named, ids are unique, fields labelled."""
        links = {"src", "href", "data", "action", "poster", "srcset", "xlink:href"}
        for tag, attributes in self.elements:
            for name in links & attributes.keys():
                value = attributes[name]
                relative = tag == "a" and not re.match(r"[a-z]+:|/", value)
                assert value.startswith("data:image/webp;base64,") or relative, (tag, value[:80])
        assert "http" not in self.source
        assert "url(" not in self.source
        assert "@import" not in self.source
        for image in self.all("img"):
            data = base64.b64decode(image["src"].partition(",")[2], validate=True)
            with Image.open(io.BytesIO(data)) as decoded:
                decoded.load()
                assert decoded.size == (int(image["width"]), int(image["height"]))
            assert image["alt"]
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {label["for"] for label in self.all("label")}
        for field in self.all("input"):
            assert field.get("id") in labelled or field.get("aria-label")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return small_run(tmp_path_factory.mktemp("report"), losses={"total_variation": "squared"})


def test_the_page_says_what_the_manifest_says(made: RunResult) -> None:
    manifest = json.loads((made.directory / "manifest.json").read_text(encoding="utf-8"))
    path = write_report(made.directory)
    assert path == made.directory / "report.html"
    page = Page(path)
    page.check()
    for term in ("total", "content", "style"):
        assert f"{term} {manifest['losses'][term]:.6g}" in page.text
    assert manifest["job_sha256"] in page.text
    assert manifest["weights"]["sha256"] in page.text
    assert manifest["weights"]["description"] in page.text
    for facts in manifest["inputs"].values():
        assert facts["sha256"] in page.text
        assert f"{facts['width']} \N{MULTIPLICATION SIGN} {facts['height']}" in page.text
    assert manifest["environment"]["tensorflow"] in page.text
    assert f"{manifest['peak_memory_mb']} MB" in page.text
    for seconds in manifest["timings_seconds"].values():
        assert f"{seconds:.3f}" in page.text
    assert f"nst-graph rerun {made.picture}" in page.text
    assert not any(attributes.get("role") == "alert" for _, attributes in page.elements)


def test_the_time_line_has_every_image_with_its_losses(made: RunResult) -> None:
    page = Page(write_report(made.directory))
    shown = [
        figure["data-iteration"] for figure in page.all("figure") if "data-iteration" in figure
    ]
    assert shown == ["0", "2", "4", "6"]
    slider = next(field for field in page.all("input") if field["type"] == "range")
    assert (slider["min"], slider["max"]) == ("0", "3")
    rows = (made.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4
    for row in map(json.loads, rows):
        assert f"iteration {row['iteration']}: total {row['total']:.5g}" in page.text


def test_the_result_is_none_of_the_saved_images(
    made: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_directory = tmp_path / "run"
    shutil.copytree(made.directory, run_directory)
    (run_directory / "images" / "iteration_000006.png").unlink()
    monkeypatch.setattr(pictures, "MOST_FRAMES", 2)
    page = Page(write_report(run_directory))
    shown = [
        figure["data-iteration"] for figure in page.all("figure") if "data-iteration" in figure
    ]
    assert shown == ["0", "4", "6"]
    assert "2 of 3 saved images" in page.text


def test_pictures_are_shown_in_srgb(tmp_path: Path) -> None:
    pixels = np.full((40, 60, 3), (200, 60, 60), np.uint8)
    write_picture(tmp_path / "wide.png", pixels, icc_profile=rgb_profile())
    picture = read_picture(tmp_path / "wide.png")
    expected = picture.in_srgb[20, 30].astype(int)
    facts = {"path": picture.path, "sha256": picture.sha256, "height": 40, "width": 60}
    assert np.abs(expected - (200, 60, 60)).max() > 10
    for shown in (
        pictures.shown_file(tmp_path / "wide.png", 100),
        pictures.shown_input(facts, "lanczos"),
    ):
        assert shown is not None
        with Image.open(io.BytesIO(base64.b64decode(shown.uri.partition(",")[2]))) as image:
            found = np.asarray(image.convert("RGB"))[20, 30].astype(int)
        assert np.abs(found - expected).max() <= 4


def test_curves_can_be_switched_without_a_script(made: RunResult) -> None:
    page = Page(write_report(made.directory))
    boxes = [field["id"] for field in page.all("input") if field["type"] == "checkbox"]
    assert len(boxes) == 4 + 3
    assert len(page.all("polyline")) == len(boxes)
    for key in boxes:
        assert f"#{key}:not(:checked) ~ svg .{key} {{ display: none; }}" in page.source


def test_settings_that_differ_from_the_recipe_are_marked(made: RunResult) -> None:
    manifest = json.loads((made.directory / "manifest.json").read_text(encoding="utf-8"))
    marked = {row.key: row.default for row in settings_of(manifest["job"]) if row.default}
    assert marked["optimizer.steps"] == "200"
    assert marked["log.image_every"] == "20"
    assert marked["losses.total_variation"] == "null"
    assert "optimizer.learning_rate" not in marked
    assert "content" not in marked
    page = Page(write_report(made.directory))
    assert page.source.count('<tr class="other">') == 2 * len(marked)
    unknown = {**manifest["job"], "recipe": "of another version"}
    assert [row.default for row in settings_of(unknown)] == [None] * len(settings_of(unknown))


def test_another_optimiser_is_compared_with_its_own_defaults(tmp_path: Path) -> None:
    job = make_job(small_job(tmp_path, optimizer={"name": "lbfgs", "segments": 2})).job
    marked = {row.key: row.default for row in settings_of(job.model_dump(mode="json"))}
    assert marked["optimizer.name"] == "adam"
    assert marked["optimizer.segments"] == "10"
    assert marked["optimizer.evaluations"] is None


def test_unfinished_runs_say_so_at_the_top(made: RunResult, tmp_path: Path) -> None:
    def interrupt(step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(make_plan(make_job(small_job(tmp_path))), interrupt)
    page = Page(write_report(tmp_path / "run"))
    page.check()
    assert "interrupted before its end" in page.text
    with pytest.raises(DivergedError):
        small_run(tmp_path / "b", optimizer={"steps": 5, "learning_rate": 1e30})
    page = Page(write_report(tmp_path / "b" / "run"))
    page.check()
    assert "This run diverged" in page.text


def test_a_run_that_was_killed_early_has_a_page(made: RunResult, tmp_path: Path) -> None:
    manifest = json.loads((made.directory / "manifest.json").read_text(encoding="utf-8"))
    for key in ("losses", "timings_seconds", "optimizer", "steps", "ended", "peak_memory_mb"):
        manifest.pop(key)
    manifest["resumed"] = [{"at": "2026-01-02T03:04:05+00:00", "iteration": 4}]
    manifest["status"] = "running"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    page = Page(write_report(tmp_path))
    page.check()
    assert "was killed" in page.text
    assert "No result was written" in page.text
    assert "2026-01-02T03:04:05+00:00 at iteration 4" in page.text


def test_inputs_that_are_gone_are_shown_from_the_side_by_side(tmp_path: Path) -> None:
    photo = tmp_path / "<b>photo & more.png"
    write_picture(photo, draw("landscape", 48, 64))
    result = small_run(tmp_path, content=str(photo), optimizer={"steps": 1})
    page = Page(write_report(result.directory))
    page.check()
    alts = [image["alt"] for image in page.all("img")]
    assert f"The content picture, {photo}" in alts
    photo.unlink()
    page = Page(write_report(result.directory))
    page.check()
    assert "Not where it was, or another file now: content." in page.text
    assert "Content, style and result side by side" in [image["alt"] for image in page.all("img")]


def test_a_batch_has_a_page_that_links_those_of_its_runs(tmp_path: Path) -> None:
    job = tmp_path / "many.yaml"
    settings = small_job(tmp_path, output=str(tmp_path / "many"), name="steps {optimizer.steps}#")
    settings["sweep"] = {"optimizer.steps": [1, 2]}
    del settings["optimizer"]
    job.write_text(json.dumps(settings), encoding="utf-8")
    assert CliRunner().invoke(app, ["run", str(job)]).exit_code == 0
    bare = Page(write_report(tmp_path / "many"))
    bare.check()
    assert bare.all("a") == []
    assert "--runs" in bare.text
    done = CliRunner().invoke(app, ["report", str(tmp_path / "many"), "--runs"])
    assert done.exit_code == 0, done.output
    page = Page(tmp_path / "many" / "report.html")
    page.check()
    assert "2 runs: 2 finished" in page.text
    assert len(page.all("img")) == 2
    links = [link["href"] for link in page.all("a")]
    assert len(links) == 2
    for name in ("steps-1", "steps-2"):
        run_page = next((tmp_path / "many").glob(f"*{name[-1]}*/report.html"))
        Page(run_page).check()


def test_directories_without_a_run_are_refused(made: RunResult, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such directory"):
        write_report(tmp_path / "absent")
    for directory, page in ((tmp_path / ("a" * 300), None), (made.directory, Path("a" * 300))):
        with pytest.raises(OutputError, match="too long"):
            write_report(directory, page)
    with pytest.raises(OutputError, match="neither a run nor") as caught:
        write_report(made.directory.parent)
    assert str(made.directory) in caught.value.remedy
    (tmp_path / "manifest.json").write_text("[]", encoding="utf-8")
    with pytest.raises(OutputError, match="damaged"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_only_reports_are_replaced(made: RunResult, tmp_path: Path) -> None:
    page = tmp_path / "thesis.html"
    page.write_text("<!doctype html>mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is no report"):
        write_report(made.directory, page)
    assert page.read_text(encoding="utf-8") == "<!doctype html>mine"
    own = tmp_path / "own.html"
    assert write_report(made.directory, own) == write_report(made.directory, own) == own


# --- parts ------------------------------------------------------------------------------------


def test_curves_lie_within_the_picture_and_fall_as_the_losses_do() -> None:
    rows = [{"updates": n, "total": 10.0 ** (5 - n), "style": 0.0} for n in range(5)]
    found = chart(rows, ["total", "style"], "s")
    assert found is not None
    assert [curve.name for curve in found.curves] == ["total"]
    points = found.curves[0].points
    steps = {round(b[1] - a[1], 1) for a, b in pairwise(points)}
    assert max(steps) - min(steps) < 0.15  # a straight line, on a log axis
    assert min(steps) > 0
    assert all(0 < x <= WIDTH and 0 < y <= HEIGHT for x, y in points)
    assert [label for _, label in found.up] == ["10", "100", "1e3", "1e4", "1e5"]
    assert [label for _, label in found.across] == ["0", "1", "2", "3", "4"]
    assert chart(rows, ["style"], "s") is None
    assert chart([], ["total"], "s") is None


@pytest.mark.parametrize("total", [1e-12, 1.0, 3e38])
def test_a_single_point_has_axes(total: float) -> None:
    found = chart([{"evaluations": 7, "updates": 3, "total": total}], ["total"], "s")
    assert found is not None
    assert found.count == "evaluations"
    assert len(found.curves[0].points) == 1
    assert found.up


def test_frames_are_spread_evenly_with_both_ends() -> None:
    frames = [Frame(number, Path(f"{number}.png")) for number in range(101)]
    assert [frame.iteration for frame in spread(frames, 5)] == [0, 25, 50, 75, 100]
    assert spread(frames[:3], 5) == frames[:3]


def test_a_loss_that_is_read_rarely_leaves_images_without(tmp_path: Path) -> None:
    result = small_run(tmp_path, log={"losses_every": 3, "image_every": 2})
    page = Page(write_report(result.directory))
    assert "iteration 2 (losses were not read there)" in page.text
