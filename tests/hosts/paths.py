# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the test bed keeps what it makes: outside the repository, in one folder that can be thrown away."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Return the folder of every Holdfast cache, from HOLDFAST_CACHE or the user's cache folder."""
    chosen = os.environ.get("HOLDFAST_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "holdfast"


def hosts_root() -> Path:
    """Return the folder of the test bed."""
    return cache_root() / "hosts"


def sets_root() -> Path:
    """Return the folder with one folder for each set of hosts."""
    return hosts_root() / "sets"


def images_root() -> Path:
    """Return the folder of the cached images of both tiers."""
    return hosts_root() / "images"


def engine_root() -> Path:
    """Return the folder of the container engine that the test bed started."""
    return hosts_root() / "engine"
