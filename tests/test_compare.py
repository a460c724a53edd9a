"""``nst-graph compare``: what it measures, the table, the JSON, the page."""

from __future__ import annotations

import importlib.resources
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from nst_graph.cli import app
from nst_graph.compare.comparison import Comparison, Result, compare, relative_differences
from nst_graph.compare.measure import Trial, count_calls, relative_difference
from nst_graph.compare.memory import PeakMemory, measure_peak
from nst_graph.compare.output import write_comparison
from nst_graph.compare.request import CompareRequest, make_request
from nst_graph.compare.table import as_table, cost_rows
from nst_graph.config import SessionSettings
from nst_graph.errors import CapacityError, ConfigError, NstGraphError, OutputError
from nst_graph.estimate import estimate
from nst_graph.ingredients import prepare
from nst_graph.jobs import make_job
from nst_graph.plan import Plan, make_plan

pytestmark = pytest.mark.tensorflow

ENGINES = ("graph", "function", "eager")
STEPS = 4


def plan_of(folder: Path, **settings: object) -> Plan:
    job = {
        "recipe": "coursera",
        "content": "embedded:landscape",
        "style": "embedded:painting",
        "size": 48,
        "output": str(folder / "run"),
        "weights": {"source": "random"},
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 0.5, "relu2_1": 0.5},
        **settings,
    }
    return make_plan(make_job(job))


def request_of(plan: Plan, *engines: str, steps: int = STEPS) -> CompareRequest:
    return make_request(plan, engines or ENGINES, steps, None, overwrite=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    request = request_of(plan_of(tmp_path_factory.mktemp("compare")), "eager", "graph", "function")
    return compare(request)


@pytest.fixture(scope="module")
def page(found: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(found, tmp_path_factory.mktemp("page") / "new")


def test_engines_agree_and_graph_is_the_reference(found: Comparison) -> None:
    assert found.reference == "graph"
    assert {result.name for result in found.results} == set(ENGINES)
    for result in found.results:
        assert len(result.trial.losses) == STEPS
        assert len(result.own_run_differences) == STEPS
        assert len(result.trial.gradient_differences) == STEPS
        assert max(result.largest.values()) < 1e-4
        assert result.pixel_difference <= 1
        assert result.trial.losses[-1] < result.trial.losses[0]


def test_what_distinguishes_the_engines(found: Comparison) -> None:
    trials = {result.name: result.trial for result in found.results}
    assert trials["eager"].python_calls > 10 * trials["function"].python_calls
    assert trials["eager"].operations is None
    assert (trials["graph"].operations or 0) > 100
    assert (trials["function"].operations or 0) > 100
    for result in found.results:
        lower, middle, upper = result.step_quartiles
        assert 0 < lower <= middle <= upper
        assert len(result.trial.step_seconds) == STEPS
        assert result.memory is not None
        assert 50 < result.memory.start <= result.memory.peak


def test_the_json_has_its_form(page: Path, found: Comparison) -> None:
    schema = json.loads(
        importlib.resources.files("nst_graph.compare").joinpath("schema.json").read_text()
    )
    data = json.loads((page.parent / "compare.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    assert data["steps"] == STEPS
    assert data["engines"][0]["engine"] == "graph"
    assert data["engines"][1]["losses"] == list(found.results[1].trial.losses)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "steps": 1}, schema)


class Links(HTMLParser):
    """Everything that a page would fetch, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.images = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.images += tag == "img"
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data"):
                self.fetched.append(value or "")


def test_the_page_needs_nothing_beside_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = Links(text)
    assert links.images == 9
    assert all(link.startswith("data:image/") for link in links.fetched)
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text
    assert 'name="viewport"' in text
    assert page.stat().st_size < 1_000_000


def test_the_page_escapes_what_a_job_says(found: Comparison, tmp_path: Path) -> None:
    spiteful = Comparison(found.results, {**found.facts, "weights": "<script>alert(1)</script>"})
    text = write_comparison(spiteful, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_page_says_every_engine_and_number(page: Path, found: Comparison) -> None:
    text = re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))
    for result in found.results:
        assert result.name in text
        assert f"{result.trial.python_calls:,}" in text
    assert "no graph" in text
    assert "seeded random kernels, not trained" in text


def invented(name: str, seconds: tuple[float, ...]) -> Result:
    """A result with large figures."""
    trial = Trial(name, seconds[0], seconds, (1e9,) * 4, (1e9,) * 4, (1e-12,) * 4, 98_765_432,
                  1_234_567, np.zeros([1, 2, 2, 3], np.float32))  # fmt: skip
    differences = (1.2e-12,) * 4
    picture = np.zeros([2, 2, 3], np.uint8)
    return Result(trial, PeakMemory(900.0, 123_456.0), picture, differences, differences, 0)


@pytest.mark.parametrize(
    "seconds",
    [
        (0.00123, 0.001234, 0.004567, 0.006789),
        (12.3, 0.1234, 0.5678, 0.9876),
        (0.99951, 0.9994, 0.99951, 12.345),
        (1234.5, 998.76, 1234.5, 2345.6),
        (12345.6, 0.0999, 99.94, 99999.0),
    ],
)
def test_large_figures_fit_a_terminal_of_80_columns(seconds: tuple[float, ...]) -> None:
    facts = {"job": {"recipe": "coursera"}, "width": 1024, "height": 768, "steps": 1000}
    text = shown(Comparison(tuple(invented(name, seconds) for name in ENGINES), facts))
    assert "…" not in text
    assert "123456 MB" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0012345, "1.23 ms"),
        (0.0099949, "9.99 ms"),
        (0.0099951, "10.0 ms"),
        (0.12345, "123 ms"),
        (0.99949, "999 ms"),
        (0.99951, "1.00 s"),
        (12.345, "12.3 s"),
        (123.45, "123 s"),
    ],
)
def test_seconds_have_three_digits(value: float, text: str) -> None:
    rows = dict(cost_rows(Comparison((invented("graph", (value,) * 4),), {})))
    assert rows["median step"] == [text]


def shown(comparison: Comparison) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(as_table(comparison))
    return console.export_text()


def test_the_table_fits_a_terminal_of_80_columns(found: Comparison) -> None:
    text = shown(found)
    for words in ("median step", "Python calls per step", "gradient, same image", "no graph"):
        assert words in text
    assert "…" not in text


@pytest.fixture
def no_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the processes in which peaks of memory are measured."""
    monkeypatch.setattr("nst_graph.compare.comparison.measure_peak", lambda *_: None)


@pytest.mark.usefixtures("no_peaks")
def test_without_graph_the_first_engine_named_is_the_reference(tmp_path: Path) -> None:
    request = request_of(plan_of(tmp_path), "eager", "function", steps=3)
    assert compare(request).reference == "eager"


@pytest.mark.usefixtures("no_peaks")
def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    request = request_of(plan_of(tmp_path), "graph", steps=3)
    compare(request, lambda stage, detail: told.append((stage, detail)))
    assert ("taking steps in turn", "3 of 3") in told


# --- parts ------------------------------------------------------------------------------------


def test_calls_are_counted() -> None:
    def inner() -> None:
        pass

    def outer() -> None:
        for _ in range(5):
            inner()

    assert count_calls(outer) == 6


def test_relative_differences() -> None:
    assert relative_differences([2.0, 0.0, -3.0], [1.0, 0.0, -2.0]) == (1.0, 0.0, 0.5)
    assert relative_differences([1.0], [0.0]) == (float("inf"),)
    left, right = np.array([1.0, -3.0], np.float32), np.array([1.0, -4.0], np.float32)
    assert relative_difference(left, right) == 0.25


def test_memory_that_cannot_be_measured_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_of(tmp_path)
    ingredients = prepare(plan)
    peak = measure_peak("no such engine", ingredients, SessionSettings(), plan.job.optimizer)
    assert peak is None
    assert "no such engine" in caplog.text


# --- requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engines", "steps", "message"),
    [
        (("graph", "eagr"), 4, "did you mean 'eager'"),
        (("graph", "graph"), 4, "named twice"),
        (("graph",), 2, "too few"),
        ((), 4, "no engine"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    tmp_path: Path, engines: tuple[str, ...], steps: int, message: str
) -> None:
    with pytest.raises(NstGraphError, match=message):
        make_request(plan_of(tmp_path), engines, steps, None, overwrite=False)


@pytest.mark.parametrize(
    ("session", "remedy"),
    [
        ({"precision": "fast"}, "session.precision=exact"),
        ({"memory": "low"}, "session.memory=auto"),
        ({"memory": "tiled", "tile_size": 64}, "session.memory=auto"),
        ({"mixed_precision": "bf16"}, "session.mixed_precision=none"),
    ],
)
def test_what_only_the_graph_can_do_is_compared_with_no_other(
    tmp_path: Path, session: dict[str, object], remedy: str
) -> None:
    plan = plan_of(tmp_path, session=session)
    with pytest.raises(ConfigError, match="eager would ignore it") as caught:
        request_of(plan, "graph", "eager")
    assert remedy in caught.value.remedy
    assert request_of(plan, "graph").engines == ("graph",)


def test_a_job_too_large_for_an_engine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, size=480)
    graph, eager = (
        estimate(plan_of(tmp_path, size=480, engine=name)).memory_mb for name in ("graph", "eager")
    )
    monkeypatch.setattr("nst_graph.estimate.available_memory_mb", lambda: (graph + eager) // 2)
    with pytest.raises(CapacityError, match=r"engine eager: .* needs about"):
        compare(request_of(plan, "graph", "eager", steps=3))


def test_lbfgs_has_no_steps_to_compare(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, optimizer={"name": "lbfgs"})
    with pytest.raises(ConfigError, match=r"optimizer\.name=adam"):
        request_of(plan)


def test_of_several_sizes_the_last_is_compared_with_its_own_optimiser(tmp_path: Path) -> None:
    sizes = [
        {"size": 48, "optimizer": {"name": "lbfgs"}},
        {"size": 64, "optimizer": {"name": "sgd"}},
    ]
    request = request_of(plan_of(tmp_path, size=None, sizes=sizes))
    assert request.optimizer.name == "sgd"
    assert request.plan.content.shape[1] == 64
    assert not request.plan.coarser


def test_a_comparison_is_not_overwritten_unasked(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    place = request_of(plan).output
    assert place == tmp_path / "run.compare"
    place.mkdir()
    (place / "compare.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="already holds a comparison"):
        request_of(plan)
    assert make_request(plan, ENGINES, 3, None, overwrite=True).output == place
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file"):
        make_request(plan, ENGINES, 3, tmp_path / "file", overwrite=True)
    with pytest.raises(OutputError, match="too long"):
        make_request(plan, ENGINES, 3, tmp_path / ("a" * 300), overwrite=True)


@pytest.mark.parametrize(
    ("output", "place"), [(".", "../cat.compare"), ("dog", "dog.compare"), ("/", "/.compare")]
)
def test_a_comparison_lies_beside_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, place: str
) -> None:
    here = tmp_path / "cat"
    here.mkdir()
    monkeypatch.chdir(here)
    request = request_of(plan_of(tmp_path, output=output))
    assert request.output.resolve() == (here / place).resolve()


@pytest.mark.usefixtures("no_peaks")
def test_the_command_writes_both_files(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        "recipe: coursera\ncontent: embedded:landscape\nstyle: embedded:painting\nsize: 48\n"
        "weights: {source: random}\ncontent_layers: {relu1_2: 1}\nstyle_layers: {relu1_1: 1}\n",
        encoding="utf-8",
    )
    arguments = ["compare", str(job), "--engines", "graph, eager", "--steps", "3"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "median step" in done.output
    assert (tmp_path / "out" / "compare.html").is_file()
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["width"] == 48
