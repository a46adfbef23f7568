# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of memory while a gateway and a node behind it are asked for long: `make bench-soak`.

Both are processes on loopback with the fixture model, asked by a few clients at once for all that there is: short
answers, streams, streams that nobody reads to their end, schemas, several at a time, new connections, mistakes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from dev.fixture.versions import VERSIONS, export_version
from tests.inference.gateway.real_nodes import real_site
from tests.inference.soaking import Soak, questions_of, soak

WARM_UP = 2000
SAY_SECONDS = 60.0


class Progress:
    """Whether there is time left; and a line a minute for whoever watches."""

    def __init__(self, minutes: float) -> None:
        self._until = time.monotonic() + minutes * 60
        self._say_at = time.monotonic() + SAY_SECONDS

    def __call__(self, found: Soak) -> bool:
        now = time.monotonic()
        if now >= self._say_at and found.samples:
            self._say_at = now + SAY_SECONDS
            print(json.dumps(found.told()), file=sys.stderr, flush=True)
        # A straight line needs two places.
        return now < self._until or len(found.samples) < 2


def main() -> int:
    """The last line is the result, as JSON; 1 where an answer was not what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to ask (30)")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model"
        export_version(VERSIONS[0], model)
        with real_site(folder, names=("a",), model=model) as site:
            found = soak(site, questions_of(model), WARM_UP, Progress(minutes))
    print(json.dumps({"bench": "soak", **found.told()}))
    return 1 if found.unforeseen else 0


if __name__ == "__main__":
    sys.exit(main())
