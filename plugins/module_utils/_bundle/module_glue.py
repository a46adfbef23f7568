# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the four modules share: signals, errors as sentences, and options turned into facts."""

from __future__ import annotations

import contextlib
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from .catalogue import Artifact, read_catalogue
from .catalogues import combine
from .download import Patience
from .errors import BundleError, StoppedError
from .progress import Progress
from .watch import watch_reader

SOURCE_OPTIONS: dict[str, Any] = {
    "artifacts": {"type": "list", "elements": "dict", "required": True},
    "mirror": {"type": "dict", "default": {}},
    "download_timeout": {"type": "int", "default": 60},
    "download_deadline": {"type": "int", "default": 3600},
}
PROGRESS_OPTIONS: dict[str, Any] = {"progress_path": {"type": "path"}}


@contextlib.contextmanager
def plain_failures(module: Any, cancel: threading.Event | None = None) -> Iterator[None]:
    """Every failure leaves as one sentence, and a signal ends the work in order."""
    stop = cancel or threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stop.set()
        raise StoppedError(
            f"Stopped by {signal.Signals(number).name}. What was there before is untouched, what was finished is "
            "cached, and the next run goes on from there."
        )

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    reader = module.params.get("progress_path")
    if reader:
        watch_reader(Path(reader), stop)
    try:
        yield
    except BundleError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"The system refused: {error}. What was there before is untouched. "
            "Put that right, then run this again.",
            exception=traceback.format_exc(),
        )


def progress_of(params: Mapping[str, Any]) -> Progress:
    path = params.get("progress_path")
    return Progress(Path(path) if path else None)


def patience_of(params: Mapping[str, Any]) -> Patience:
    return Patience(timeout=float(params["download_timeout"]), deadline=float(params["download_deadline"]))


def mirror_of(params: Mapping[str, Any]) -> dict[str, str]:
    return {str(prefix): str(other) for prefix, other in params["mirror"].items()}


def catalogues_of(params: Mapping[str, Any]) -> tuple[Artifact, ...]:
    """All catalogues as one; each entry knows the folder of its recipes."""
    first = read_catalogue(params["artifacts"], folder=Path(params["files_path"]).absolute())
    files = [(Path(more["path"]).absolute(), more["artifacts"]) for more in params["more_catalogues"]]
    return combine([first, *(read_catalogue(entries, str(path), path.parent) for path, entries in files)])
