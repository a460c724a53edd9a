#!/usr/bin/env python
"""Fetch the published VGG-19 weights into this checkout's pretrained/ folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

try:
    from rich.console import Console

    from nst_graph.console import download_progress
    from nst_graph.errors import DownloadError
    from nst_graph.weights.download import download, known_file, manifest_json
    from nst_graph.weights.known_files import KNOWN_FILES
except ModuleNotFoundError as error:
    sys.exit(
        f"{error.name} is not installed; install the project first:\n  pip install -e {CHECKOUT}"
    )


def parser() -> argparse.ArgumentParser:
    files = "\n".join(f"  {known.key:12}{known.description}" for known in KNOWN_FILES)
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\nfiles:\n{files}",
        epilog="Every file is checked against its published digest before it gets its name.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", default="mat", help="which file (default: mat)")
    parser.add_argument("--directory", type=Path, default=CHECKOUT / "pretrained", metavar="DIR")
    parser.add_argument("--url", help="a mirror (http, https, file) to fetch it from")
    parser.add_argument("--from-file", type=Path, metavar="PATH", help="take a local copy instead")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="accept an expired TLS certificate; the digest is checked all the same",
    )
    parser.add_argument(
        "--manifest", action="store_true", help="only print the table of files as JSON"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 the file is in place, 2 it is not, 130 stopped by Ctrl-C."""
    options = parser().parse_args(arguments)
    if options.manifest:
        print(manifest_json(), end="")
        return 0
    try:
        known = known_file(options.file)
        with download_progress(Console(stderr=True), known.filename) as progress:
            report = download(
                known,
                options.directory,
                url=options.url,
                from_file=options.from_file,
                insecure=options.insecure,
                progress=progress,
            )
    except DownloadError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on from here", file=sys.stderr)
        return 130
    print("\n".join(report.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
