"""What a picture says of its making: the run's manifest, in the metadata of every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nst_graph.config import TileSize
from nst_graph.errors import PictureError
from nst_graph.images import read_metadata
from nst_graph.memory_mode import modes_only

#: Key of the metadata under which the manifest stands, as JSON.
KEY = "nst_graph"

#: Parts of the manifest that are known before the first step, and that travel in pictures.
_CARRIED = ("nst_graph", "job_sha256", "inputs", "weights", "environment")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class InputFacts(_Record):
    """A picture that went in: as the job names it, and at the size that it had in the run."""

    path: str
    sha256: str
    height: int
    width: int


class WeightsFacts(_Record):
    """The kernels, as in ``types.Provenance``."""

    source: str
    description: str
    sha256: str
    path: str | None


class MemoryFacts(_Record):
    """How the run was computed: ``memory_mode`` tells the form."""

    mode: Literal["full", "low", "tiled"]
    tile_size: TileSize | None
    coarser: tuple[MemoryFacts, ...] = ()


class Origin(_Record):
    """What a picture of a run says of itself.

    Attributes:
        nst_graph: version.
        job: complete settings, less ``output``.
        job_sha256: of the settings.
        inputs: by name: "content", "style", ...
        weights: the kernels.
        environment: versions, device, threads.
        memory: modes in which the run was computed; None in pictures of versions that did not tell.
        file: the picture's name in its run's directory, such as "images/iteration_000040.png".
        iteration: after which the image was taken.
    """

    nst_graph: str
    job: dict[str, Any]
    job_sha256: str
    inputs: dict[str, InputFacts]
    weights: WeightsFacts
    environment: dict[str, Any]
    memory: MemoryFacts | None = None
    file: str
    iteration: int


def picture_metadata(manifest: Mapping[str, Any], name: str, iteration: int) -> dict[str, str]:
    """Metadata for one picture of a run.

    ``output`` is left out: the same job gives the same bytes in any directory.

    Args:
        manifest: of the run, as it is before the first step.
        name: of the file in the run's directory.
        iteration: after which the image was taken.
    """
    settings = {key: value for key, value in manifest["job"].items() if key != "output"}
    carried = {key: manifest[key] for key in _CARRIED}
    if "memory" in manifest:
        carried["memory"] = modes_only(manifest["memory"])
    return {
        "Software": f"nst_graph {manifest['nst_graph']}",
        "Description": f"Neural style transfer; weights: {manifest['weights']['description']}",
        KEY: json.dumps({**carried, "job": settings, "file": name, "iteration": iteration}),
    }


def read_origin(path: Path) -> Origin:
    """Read back what ``picture_metadata`` gave a picture.

    Raises:
        PictureError: no picture, or one that nst_graph did not make, or whose metadata were removed
            or damaged.
    """
    text = read_metadata(path).get(KEY)
    if text is None:
        raise PictureError(
            "does not say how it was made",
            where=str(path),
            remedy="name a picture that nst-graph wrote, from its run's directory: many editors "
            "and web sites remove the metadata",
        )
    try:
        return Origin.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or KEY
        raise PictureError(
            f"its metadata are damaged, or of another version: {place}: {first['msg']}",
            where=str(path),
            remedy="`nst-graph run` makes it again from the job.yaml of its run, if that is there",
        ) from None
