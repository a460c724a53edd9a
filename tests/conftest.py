"""Fixtures shared by the tests. Reference material is used where it is, skipped where it is not."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# A test must not find what another version of the code has left in the user's cache.
_CACHE = tempfile.mkdtemp(prefix="nst_graph_cache_")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
os.environ["NST_GRAPH_CACHE"] = _CACHE

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder with the published pictures and the real kernels of blocks 1-3."""
    if not REFERENCE.is_dir():
        pytest.skip("reference material (pictures, VGG-19 kernels of blocks 1-3) is not here")
    return REFERENCE
