"""ICC profiles for tests: RGB spaces of three primaries and a gamma (ICC.1:2001, version 2)."""

from __future__ import annotations

import struct

#: Adobe RGB (1998), its primaries adapted to D50.
ADOBE_PRIMARIES = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
_D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(
    primaries: tuple[tuple[float, float, float], ...] = ADOBE_PRIMARIES, gamma: float = 2.19921875
) -> bytes:
    """A display profile: XYZ of red, green and blue, and one tone curve."""
    name = b"test RGB\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _xyz(_D50),
    }
    for channel, primary in zip("rgb", primaries, strict=True):
        tags[f"{channel}XYZ".encode()] = _xyz(primary)
        tags[f"{channel}TRC".encode()] = (
            b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
        )
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, value in tags.items():
        table += signature + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12x4s28x12s48x",
        start + len(data),
        bytes(4),
        0x02400000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        _xyz(_D50)[8:],
    )
    return header + table + data


def _xyz(value: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(part * 65536) for part in value))
