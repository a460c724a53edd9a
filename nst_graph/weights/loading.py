"""From a resolved request to the frozen record of weights: digest, cache, parser, check."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_graph.errors import WeightsError
from nst_graph.types import Provenance, VggWeights
from nst_graph.weights import isolated
from nst_graph.weights.cache import FileStamp, WeightsCache, check_unchanged
from nst_graph.weights.convolutions import Convolutions, check_vgg19
from nst_graph.weights.known_files import FileDigests, KnownFile, known_file_of
from nst_graph.weights.sources import SOURCES, Picture, ResolvedWeights

_LOG = logging.getLogger(__name__)


def load(
    resolved: ResolvedWeights,
    pictures: Sequence[Picture] | None = None,
    cache: WeightsCache | None = None,
) -> VggWeights:
    """Read or make the weights that a request was resolved to.

    Args:
        resolved: what ``resolve`` returned.
        pictures: content and styles, uint8 [height, width, 3], RGB. Random kernels are scaled on
            them; weights from files do not need them.
        cache: where digests and convolutions are kept; None is the user's cache directory.

    Raises:
        WeightsError: the file is damaged or not VGG-19, or ``pictures`` are needed and missing.
    """
    cache = cache or WeightsCache()
    if resolved.path is not None:
        return _load_file(resolved.source, resolved.path, cache)
    if pictures is None:
        raise WeightsError(
            f"source {resolved.source!r} scales its kernels on pictures, and there are none here",
            remedy="give the content and the style picture",
        )
    return SOURCES[resolved.source].maker()(cache, resolved.seed, *pictures)


def _load_file(source: str, path: Path, cache: WeightsCache) -> VggWeights:
    file = identify(path, cache)
    convolutions = convolutions_of(source, file, cache)
    if file.known is None:
        _LOG.warning(
            "%s is not one of the published files (SHA-256 %s): its values are taken on trust",
            path,
            file.digests.sha256,
        )
    return _record(source, file, convolutions)


@dataclass(frozen=True)
class IdentifiedFile:
    """A weights file by its digests, and the published file that has them, if one does."""

    path: Path
    stamp: FileStamp
    digests: FileDigests
    known: KnownFile | None


def identify(path: Path, cache: WeightsCache) -> IdentifiedFile:
    """Digests of a file, from the cache's index where it has not changed.

    Raises:
        WeightsError: it cannot be read, or changes meanwhile.
    """
    try:
        stamp = FileStamp.of(path)
        digests = cache.digests(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return IdentifiedFile(path, stamp, digests, known_file_of(digests))


def convolutions_of(source: str, file: IdentifiedFile, cache: WeightsCache) -> Convolutions:
    """Convolutions of a file, from the cache or by parsing it.

    Raises:
        WeightsError: the file is damaged, is not VGG-19, or changes meanwhile.
    """
    kept = cache.load(file.digests.sha256)
    if kept is not None:
        return kept
    try:
        convolutions = _parse(source, file)
        check_unchanged(file.path, file.stamp)
    except OSError as error:
        raise _unreadable(file.path, error) from error
    cache.store(file.digests.sha256, convolutions)
    return convolutions


def _parse(source: str, file: IdentifiedFile) -> Convolutions:
    """Parse in this process a file that is known by its digest, any other in a child."""
    if file.known is None:
        return isolated.parse(source, file.path, file.digests.sha256)
    try:
        convolutions = SOURCES[source].parser()(file.path)
        check_vgg19(convolutions)
    except WeightsError as error:
        raise WeightsError(error.what, where=str(file.path), remedy=error.remedy) from error
    return convolutions


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"the file cannot be read: {error.strerror or error}",
        where=str(path),
        remedy="check that it is still there, its permissions and its disk",
    )


def _record(source: str, file: IdentifiedFile, convolutions: Convolutions) -> VggWeights:
    suffix = file.path.suffix or "weights"
    unpublished = f"VGG-19 from an unpublished {suffix} file ({convolutions.layout})"
    return VggWeights(
        kernels=convolutions.kernels,
        biases=convolutions.biases,
        channel_order=convolutions.channel_order,
        mean=convolutions.mean,
        provenance=Provenance(
            source=source,
            description=file.known.description if file.known else unpublished,
            sha256=file.digests.sha256,
            path=str(file.path),
            known=file.known is not None,
        ),
    )
