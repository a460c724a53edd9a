"""Pictures in and out: files <-> uint8 [height, width, 3] RGB arrays.

Decoding and encoding go through imageio v3's Pillow plugin, always from and to bytes: given a name,
imageio would also fetch ``imageio:chelsea.png`` or ``http://...`` from the network. imageio and
Pillow are imported by the functions that need them: they cost 60 ms, which the command line's
``--help`` need not pay.
"""

from nst_graph.images.arrays import UInt8Array
from nst_graph.images.headers import (
    DEFAULT_MAX_PIXELS,
    READ_FORMATS,
    PictureHeader,
    probe_picture,
)
from nst_graph.images.profiles import convert_profile, is_readable, profile_name
from nst_graph.images.reading import Picture, read_picture
from nst_graph.images.resizing import RESIZE_METHODS, resize, target_shape
from nst_graph.images.writing import (
    WRITE_FORMATS,
    WriteFormat,
    png_bytes,
    read_metadata,
    webp_bytes,
    write_format,
    write_picture,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "READ_FORMATS",
    "RESIZE_METHODS",
    "WRITE_FORMATS",
    "Picture",
    "PictureHeader",
    "UInt8Array",
    "WriteFormat",
    "convert_profile",
    "is_readable",
    "png_bytes",
    "probe_picture",
    "profile_name",
    "read_metadata",
    "read_picture",
    "resize",
    "target_shape",
    "webp_bytes",
    "write_format",
    "write_picture",
]
