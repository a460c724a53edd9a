"""A run, or a batch of them, as one HTML page."""

from nst_graph.report.output import GENERATOR, write_report

__all__ = ["GENERATOR", "write_report"]
