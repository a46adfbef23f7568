# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the image of the inference service is, and how fast a server in it answers: `make bench-image`.

The model is the tests' tiny one, so the seconds are those of the image and the server; a real model adds its loading.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from tests.inference.engine.asking import make_model
from tests.inference.server.running import wait_until
from tests.integration.image_root import ImageRoot, end, unpack
from tests.integration.inference_pod import Pod, build_archive

ROUNDS = 5
START_SECONDS = 60


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def mib(size: int) -> float:
    return round(size / (1 << 20), 1)


def compressed(path: Path) -> int:
    """As registries keep it."""
    packer, size = zlib.compressobj(wbits=31), 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            size += len(packer.compress(block))
    return size + len(packer.flush())


def start(image: ImageRoot, model: Path, folder: Path) -> dict[str, float]:
    """From the start of the process to its answers."""
    folder.mkdir()
    pod = Pod(image, model, folder)
    began = time.monotonic()
    process = image.start(image.config["config"]["Cmd"], pod.mounts, folder / "log")
    try:
        seconds = {}
        for path in ("live", "ready"):
            wait_until(partial(pod.answers, f"/health/{path}"), START_SECONDS)
            seconds[path] = time.monotonic() - began
        return seconds
    finally:
        end(process)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-image-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        archive = build_archive(folder)
        size, packed = archive.stat().st_size, compressed(archive)
        say(f"{mib(size)} MiB, {mib(packed)} MiB through gzip")
        image, model = unpack(archive, folder / "root"), make_model(folder)
        rounds = []
        for number in range(ROUNDS):
            rounds.append(start(image, model, folder / f"round-{number}"))
            say("  ".join(f"{path} after {seconds:.2f} s" for path, seconds in rounds[-1].items()))
        told: dict[str, Any] = {
            f"seconds_to_{path}": {
                "median": round(statistics.median(one[path] for one in rounds), 2),
                "worst": round(max(one[path] for one in rounds), 2),
            }
            for path in rounds[0]
        }
        print(json.dumps({"bench": "image", "mib": mib(size), "gzip_mib": mib(packed), **told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
