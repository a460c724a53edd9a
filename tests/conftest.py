"""Fixtures shared by the tests. Reference material is used where it is, skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder with the published pictures and the real kernels of blocks 1-3."""
    if not REFERENCE.is_dir():
        pytest.skip("reference material (pictures, VGG-19 kernels of blocks 1-3) is not here")
    return REFERENCE
