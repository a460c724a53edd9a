"""``python -m nst_graph.cli``."""

from nst_graph.cli import main

main()
