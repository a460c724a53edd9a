"""A report for people: plain text for the terminal, Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from nst_graph import __version__
from nst_graph.reproduce.report import Report, TargetReport
from nst_graph.reproduce.rows import Row, counts

_HEADINGS = ("published", "measured", "deviation", "tolerance", "verdict")
_TITLE_WIDTH = 47
_MARKS = {"met": "met", "deviates": "DEVIATES", "missing": "missing"}


def as_text(report: Report) -> str:
    """The report in lines of at most 100 characters, except for paths and notes."""
    lines = [f"warning: {warning}" for warning in report.warnings]
    for target in report.targets:
        lines += ["", f"{target.name}: {target.title}"]
        for group, rows in groupby(target.rows, key=lambda row: row.group):
            lines.append(_text_line((f"  {group}", *_HEADINGS)))
            for row in rows:
                lines.append(_text_line(("    " + _title(row), *_cells(row))))
                if row.note:
                    lines.append(f"      ({row.note})")
        lines += [f"  missing: {item}" for item in target.missing]
        lines += [f"  {line}" for line in _remarks(target)]
    return "\n".join([*lines, "", _summary(report)]).lstrip("\n")


def as_markdown(report: Report, command: str) -> str:
    """The report as a page; ``command`` is what made it, without names of local folders."""
    place = report.environment
    device = ", ".join(place.get("device_names", ())) or place.get("device", "none")
    lines = [
        "# Reproduction of the published numbers",
        "",
        f"Written by `{command} --markdown FILE`; not edited by hand.",
        "",
        f"nst_graph {__version__}, TensorFlow {place.get('tensorflow', 'not used')}, device "
        f"{device}. A deviation is the largest absolute difference by the largest absolute "
        "published value; of several values, the pair that deviates most is shown.",
        "",
        f"**{_summary(report)}.**",
    ]
    lines += [line for warning in report.warnings for line in ("", f"Warning: {warning}.")]
    if report.warnings:
        lines += [
            "",
            "Rows marked *not published* were measured with such a file: what deviates there says "
            "nothing about the package, and remains to be checked with the published file.",
        ]
    for target in report.targets:
        lines += ["", *_markdown_target(target)]
    return "\n".join(lines) + "\n"


def _markdown_target(target: TargetReport) -> Iterator[str]:
    yield f"## {target.name}: {target.title}"
    for group, rows in groupby(target.rows, key=lambda row: row.group):
        yield from ("", f"### {group}", "", f"| what | {' | '.join(_HEADINGS)} |")
        yield "|---|--:|--:|--:|--:|---|"
        sources = []
        for row in rows:
            title = _title(row) + (f" ({row.note})" if row.note else "")
            yield f"| {title} | {' | '.join(_cells(row))} |"
            sources.append(row.source)
        yield ""
        yield "Source: " + "; ".join(dict.fromkeys(sources)) + "."
    if target.files:
        yield from ("", "Files used:", "")
        for file in target.files:
            kind = "published" if file.published else "not the published file"
            yield f"* {file.role}: {file.name}, {kind}, SHA-256 `{file.sha256}`"
    if target.missing:
        yield from ("", "Not there where this page was made:", "")
        yield from (f"* {item}" for item in target.missing)
    remarks = list(_remarks(target))
    if remarks:
        yield ""
        yield from (f"* {remark}" for remark in remarks)


def _remarks(target: TargetReport) -> Iterator[str]:
    """What is to be said after the rows of a target."""
    if target.not_run:
        yield f"not run: {len(target.not_run)} rows, {target.not_run[0]} .. {target.not_run[-1]}"
    if target.diagnosis is None:
        return
    for finding in target.diagnosis.findings:
        yield f"diagnosis: {finding.title}; {finding.evidence}"
    if target.diagnosis.remark:
        yield f"diagnosis: {target.diagnosis.remark}"


def _summary(report: Report) -> str:
    """ "52 rows: 40 met, 2 deviate, 10 missing; 18 not run"."""
    number = counts(report.rows)
    not_run = sum(len(target.not_run) for target in report.targets)
    text = (
        f"{len(report.rows)} rows: {number['met']} met, {number['deviates']} deviate, "
        f"{number['missing']} missing"
    )
    return f"{text}; {not_run} not run" if not_run else text


def _title(row: Row) -> str:
    return row.title if row.count == 1 else f"{row.title} (worst of {row.count})"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row.published:.8g}",
        "-" if row.measured is None else f"{row.measured:.8g}",
        "-" if row.deviation is None else f"{row.deviation:.1e}",
        f"{row.tolerance:.1e}",
        _MARKS[row.verdict],
    )


def _text_line(cells: Sequence[str]) -> str:
    title, published, measured, deviation, tolerance, verdict = cells
    return (
        f"{title:<{_TITLE_WIDTH}} {published:>13} {measured:>13} {deviation:>9} {tolerance:>9} "
        f"{verdict}"
    )
