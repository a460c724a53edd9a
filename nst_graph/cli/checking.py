"""Commands that look at job files and run nothing: validate, schema, show-config, inspect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nst_graph.cli.base import SetOption, app, quiet_import
from nst_graph.errors import NstGraphError


@app.command()
def validate(
    jobs: Annotated[list[Path], typer.Argument(help="Job and batch files.")],
    overrides: SetOption = None,
) -> None:
    """Check job files, and the files that they name, without running them."""
    from nst_graph.batch import plan_files
    from nst_graph.batch.display import summary_of

    faulty = 0
    for path, found in zip(jobs, plan_files(jobs, overrides or []), strict=True):
        if isinstance(found, NstGraphError):
            faulty += 1
            print(f"error: {found}", file=sys.stderr)
            continue
        summary = summary_of(found)
        print(f"{path}: ok ({summary.text}, {summary.largest.describe()})")
        if not summary.largest.fits:
            print(f"warning: {path}: a job would not fit into memory", file=sys.stderr)
    if faulty:
        raise typer.Exit(NstGraphError.exit_code)


@app.command()
def schema() -> None:
    """Print the JSON Schema of job files, for editors."""
    import json

    from nst_graph.schema import job_file_schema

    print(json.dumps(job_file_schema(), indent=2))


@app.command("show-config")
def show_config(
    job: Annotated[Path, typer.Argument(help="A job file.")],
    overrides: SetOption = None,
) -> None:
    """Print the complete job, or jobs: the recipe's values and the file's, as YAML."""
    from nst_graph.batch import load_batch
    from nst_graph.jobs import to_yaml

    for number, found in enumerate(load_batch(job, overrides or []).jobs):
        print("---\n" if number else "", end="")
        print(f"# sha256 of the settings: {found.job.digest}")
        print(to_yaml(found.job), end="")


@app.command()
def inspect(
    job: Annotated[Path, typer.Argument(help="A job file.")],
    overrides: SetOption = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Also write it as JSON.")
    ] = None,
) -> None:
    """Say what a job costs, without running it: layers, memory, arithmetic, operations."""
    from nst_graph.files import write_json
    from nst_graph.inspection import as_tables, inspect_job
    from nst_graph.plan import plan_file

    plan = plan_file(job, overrides or [])
    with quiet_import():
        found = inspect_job(plan)
    from rich.console import Console

    for table in as_tables(found):
        Console().print(table)
    if json_path is not None:
        write_json(json_path, found.as_dict())
