"""Every published number, compared with what this package computes: ``nst-graph reproduce``.

``expected.json`` holds the numbers with their sources and tolerances; ``reproduce`` measures and
judges them, row by row. An input that is not there is never a pass.
"""

from __future__ import annotations

from nst_graph.reproduce.expected import GROUPS, targets
from nst_graph.reproduce.inputs import GivenFiles
from nst_graph.reproduce.output import check_places, write_report
from nst_graph.reproduce.report import Report, TargetReport
from nst_graph.reproduce.rows import Row
from nst_graph.reproduce.runner import Request, check_request, reproduce
from nst_graph.reproduce.table import as_text

__all__ = [
    "GROUPS",
    "GivenFiles",
    "Report",
    "Request",
    "Row",
    "TargetReport",
    "as_text",
    "check_places",
    "check_request",
    "reproduce",
    "targets",
    "write_report",
]
