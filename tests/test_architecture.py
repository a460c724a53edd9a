"""Which module may import which, and what may not be imported at start-up."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "nst_graph"

#: Modules by row; each imports from itself, from rows above it, and from a neighbour in its row
#: that does not import it back.
ROWS = (
    ("errors", "layers", "tiles", "types", "interruption", "memory_mode"),
    (
        "files",
        "filenames",
        "config",
        "yamlfile",
        "images",
        "preprocess",
        "embedded",
        "cache_directory",
        "claim",
    ),
    ("metrics", "origin", "webpage"),
    ("variables", "colors", "regions", "montage"),
    ("weights", "vgg19", "losses", "sources"),
    ("recipes",),
    (
        "session",
        "machine",
        "targets",
        "target_cache",
        "objective",
        "problem",
        "op_seeds",
        "failures",
    ),
    ("precision", "fast", "tiled", "builders"),
    ("faults", "layering", "jobfile", "jobs", "sweep"),
    (
        "optimizers",
        "engines",
        "artifacts",
        "checkpoint",
        "contact_sheet",
        "schema",
        "tensorboard",
    ),
    ("frames",),
    ("animation",),
    ("picture_plan", "plan"),
    (
        "pictures",
        "ingredients",
        "recording",
        "pipeline",
        "stages",
        "capacity",
        "estimate",
        "resumption",
        "console",
        "inspection",
    ),
    ("reproduce", "compare", "batch", "rerun", "report"),
    ("cli",),
)


def row_of(module: str) -> int:
    return next(index for index, row in enumerate(ROWS) if module in row)


def top_modules() -> dict[str, list[Path]]:
    modules: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if top != "__init__":
            modules.setdefault(top, []).append(path)
    return modules


@functools.cache
def imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "nst_graph":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nst_graph."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("nst_graph.")
            }
    return names - {"__version__"}


@pytest.mark.parametrize("module", sorted(top_modules()))
def test_imports_only_from_rows_above(module: str) -> None:
    imported = {
        name: set().union(*map(imported_by, paths)) for name, paths in top_modules().items()
    }
    for other in imported[module] - {module}:
        assert row_of(other) <= row_of(module), f"{module} imports {other}, a row below it"
        assert module not in imported[other], f"{module} and {other} import each other"


def test_help_and_validation_do_not_import_tensorflow(tmp_path: Path) -> None:
    job = tmp_path / "typo.yaml"
    job.write_text("recipe: coursera\ncontent: a\nstyle: b\nsteps: 3\n", encoding="utf-8")
    code = (
        "import sys\n"
        "from nst_graph import cli\n"
        "sys.argv = ['nst-graph', *{arguments}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {{'tensorflow', 'tf_keras', 'scipy', 'matplotlib', 'h5py'}} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy), code)\n"
    )
    for arguments, expected in (
        (["--help"], 0),
        (["run", str(job)], 2),
        (["validate", str(job)], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(arguments=arguments)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"HEAVY [] {expected}" in done.stdout


def test_only_the_command_line_prints() -> None:
    printing = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "print":
                printing.append(path.relative_to(PACKAGE).parts[0])
    assert set(printing) <= {"cli"}
