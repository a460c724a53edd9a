"""The images of a run as one animation: GIF through Pillow, MP4 through ffmpeg."""

from __future__ import annotations

import importlib.util
import io
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nst_graph.config import Job, LbfgsSettings
from nst_graph.errors import ConfigError, OutputError, choices_text
from nst_graph.files import looking_at, replace_file
from nst_graph.frames import Frame, time_line
from nst_graph.images import UInt8Array, probe_picture, read_picture, resize

#: Images a second, and seconds for which the first and the last of them are held.
FPS = 8
FIRST_SECONDS, LAST_SECONDS = 1.0, 2.5


@dataclass(frozen=True)
class AnimationFormat:
    """How one format is written.

    Attributes:
        side: longest side of the images, pixels.
        frames: the most that are taken, evenly spread.
        write: puts frames of that side into a file, at so many a second.
    """

    side: int
    frames: int
    write: Callable[[Path, Sequence[Frame], int, float], None]


def write_animation(directory: Path, kind: str, fps: float = FPS) -> Path:
    """Write evolution.gif, or .mp4, into a run's directory, and return its path.

    Args:
        directory: of the run, finished or not.
        kind: a name in ``FORMATS``.
        fps: images a second, 1 to 50, the most that GIF can tell.

    Raises:
        ConfigError: no such format; MP4, and imageio-ffmpeg is not installed.
        OutputError: the run has saved fewer than two images, or the file cannot be written.
        PictureError: an image is damaged.
    """
    check_format(kind, "--format")
    form = FORMATS[kind]
    with looking_at(directory):
        frames = time_line(directory, form.frames)
    if len(frames) < 2:
        raise OutputError(
            "holds fewer than two images of a run's way",
            where=str(directory),
            remedy="name the directory of a run that was made with log.image_every above 0",
        )
    path = directory / f"evolution.{kind}"
    form.write(path, frames, form.side, fps)
    return path


def check_format(kind: str, where: str) -> None:
    """Make sure that a format can be written here; "none" always can.

    Raises:
        ConfigError: no such format; MP4, and imageio-ffmpeg is not installed.
    """
    if kind not in ("none", *FORMATS):
        raise ConfigError(
            f"unknown format {kind!r}", where=where, remedy=choices_text(kind, FORMATS)
        )
    if kind == "mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(
            "MP4 needs the package imageio-ffmpeg, which is not installed",
            where=where,
            remedy="pip install 'nst_graph[video]', or choose gif",
        )


def check_images(job: Job, where: str) -> None:
    """Make sure that the animation which a job asks for will have images to show.

    Raises:
        ConfigError: the run will save fewer than two, the result among them.
    """
    if job.log.animation == "none" or (iterations := _most_iterations(job)) is None:
        return
    first, every = job.log.first_iteration, job.log.image_every
    last = first + iterations - 1
    saved = range(first + -first % every, last + 1, every)
    if len(saved) + (last not in saved) < 2:
        raise ConfigError(
            f"log.image_every is {every}, and the last iteration is number {last}: "
            "too few pictures to animate",
            where=where,
            remedy="set log.image_every lower, or log.animation to none",
        )


def _most_iterations(job: Job) -> int | None:
    """Iterations that a job makes at most; None where they are evaluations of a line search."""
    total = 0
    for stage in job.stages:
        settings = stage.optimizer
        if not isinstance(settings, LbfgsSettings):
            total += settings.steps
        elif settings.stream == "segment":
            total += settings.segments
        else:
            return None
    return total


def _write_gif(path: Path, frames: Sequence[Frame], side: int, fps: float) -> None:
    """Each frame has a palette of its own: colours change too much on the way for one."""
    from PIL import Image

    pictures = [Image.fromarray(pixels).quantize(256) for pixels in _pictures(frames, side)]
    hundredths = [max(2, round(100 * seconds)) for seconds in _durations(len(frames), fps)]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[10 * number for number in hundredths],
        loop=0,
    )
    replace_file(path, buffer.getvalue())


def _write_mp4(path: Path, frames: Sequence[Frame], side: int, fps: float) -> None:
    """H.264 has no durations of single frames: those that are held are written repeatedly."""
    import imageio_ffmpeg

    temporary = path.with_name(f".{secrets.token_hex(8)}.mp4")
    height, width = _even_size(frames, side)
    try:
        writer = imageio_ffmpeg.write_frames(
            temporary, (width, height), fps=fps, quality=8, macro_block_size=2
        )
        writer.send(None)
        durations = _durations(len(frames), fps)
        for pixels, seconds in zip(_pictures(frames, side), durations, strict=True):
            for _ in range(max(1, round(seconds * fps))):
                writer.send(np.ascontiguousarray(pixels))
        writer.close()
        temporary.replace(path)
    except OSError as error:  # as imageio-ffmpeg tells of ffmpeg's failures, too
        raise OutputError(
            f"cannot be written ({error.strerror or str(error).strip().splitlines()[-1]})",
            where=str(path),
            remedy="check that the folder may be written and has room, or choose gif",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


#: By the name in a job; each is also the file's extension.
FORMATS: Mapping[str, AnimationFormat] = MappingProxyType(
    {
        "gif": AnimationFormat(480, 100, _write_gif),
        "mp4": AnimationFormat(1080, 2000, _write_mp4),
    }
)


def _durations(count: int, fps: float) -> list[float]:
    """Seconds of each frame."""
    return [FIRST_SECONDS, *[1 / fps] * (count - 2), LAST_SECONDS]


def _pictures(frames: Sequence[Frame], side: int) -> Iterator[UInt8Array]:
    """The frames at one size."""
    size = _even_size(frames, side)
    for frame in frames:
        yield resize(read_picture(frame.path).in_srgb, size)


def _even_size(frames: Sequence[Frame], side: int) -> tuple[int, int]:
    """Height and width of the last frame, reduced where they are above ``side``, and even.

    H.264 halves the resolution of colours, so it takes even sides only.
    """
    header = probe_picture(frames[-1].path)
    scale = min(1.0, side / max(header.height, header.width))
    height, width = (max(2, round(s * scale / 2) * 2) for s in (header.height, header.width))
    return height, width
