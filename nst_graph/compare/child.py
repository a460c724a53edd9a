"""One engine in a process of its own, for ``memory``: ingredients come in, two numbers go out.

Pickled (ingredients, engine, session, optimizer, steps) on standard input; JSON on standard output.
"""

from __future__ import annotations

import json
import pickle
import sys

from nst_graph.machine import peak_memory_mb


def main() -> None:
    """Measure once."""
    ingredients, engine_name, session, optimizer, steps = pickle.load(sys.stdin.buffer)
    from nst_graph.engines import open_engine

    if engine_name != "graph":
        import tf_keras  # noqa: F401  its import belongs to the start, not to the problem
    start = peak_memory_mb()
    with open_engine(engine_name, ingredients, session) as engine:
        updater = engine.updater(optimizer)
        for _ in range(steps):
            updater.update_and_read()
    json.dump({"start_mb": start, "peak_mb": peak_memory_mb()}, sys.stdout)


if __name__ == "__main__":
    main()
