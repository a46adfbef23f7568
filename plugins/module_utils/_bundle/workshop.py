# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every step of the work shares."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .download import Patience
from .progress import Progress
from .store import Store


@dataclass
class Workshop:
    """Where things are, how patient to be, and the flag that stops everything."""

    cache: Path
    store: Store
    progress: Progress
    cancel: threading.Event = field(default_factory=threading.Event)
    mirror: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    go: str = "go"
    # Two artifacts may come out of one archive; it is fetched once.
    _locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def lock_for(self, sha256: str) -> threading.Lock:
        with self._guard:
            return self._locks[sha256]
