"""What a job would cost, before it is run: ``nst-graph inspect``."""

from __future__ import annotations

from nst_graph.inspection.facts import (
    Inspection,
    LayerFacts,
    ScopeFacts,
    inspect_job,
    layer_facts,
)
from nst_graph.inspection.table import as_tables

__all__ = [
    "Inspection",
    "LayerFacts",
    "ScopeFacts",
    "as_tables",
    "inspect_job",
    "layer_facts",
]
