"""What Ray takes from the environment at its import."""

from __future__ import annotations

import os
import secrets
import sys


def prepare_environment(*, own_cluster: bool) -> None:
    """Set what Ray reads in this process and in those that it starts; what is set already stays.

    A program that has imported Ray itself has made these choices: for it nothing is set.

    Args:
        own_cluster: one is going to be started on this machine. It listens on 127.0.0.1, and
            answers those who know its token, which is made for it here and written nowhere.
    """
    if "ray" in sys.modules:
        return
    settings = {"RAY_USAGE_STATS_ENABLED": "0"}  # no reports to Ray's makers
    if own_cluster:
        # The switch is named after the systems on which it is off by default; with it off, a node
        # takes 127.0.0.1 for its address, and its servers listen on no other.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        settings["RAY_AUTH_MODE"] = "token"
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            settings["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    for name, value in settings.items():
        os.environ.setdefault(name, value)
