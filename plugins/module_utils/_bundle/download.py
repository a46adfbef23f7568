# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches one file with a known digest, through resets, stalls and restarts of this program."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BundleError, StoppedError
from .exchange import PassingError, RangeError, exchange
from .files import BLOCK, disk_sentences, sha256_of
from .progress import spoken_seconds, spoken_size


@dataclass(frozen=True)
class Patience:
    """How long to wait: for one answer or block, between tries, and in all."""

    timeout: float = 60.0
    deadline: float = 3600.0
    first_pause: float = 1.0
    tries_without_progress: int = 6


class Download:
    """One file on its way. The part that has arrived survives this program and is taken up again."""

    def __init__(
        self, url: str, sha256: str, name: str, part: Path, patience: Patience, cancel: threading.Event
    ) -> None:
        self.url = url
        self.sha256 = sha256
        self.name = name
        self.part = part
        self.patience = patience
        self.cancel = cancel
        self.total: int | None = None

    def status(self) -> str:
        """How much is there, for the sign of life."""
        arrived = self.part.stat().st_size if self.part.exists() else 0
        return f"{spoken_size(arrived)} of {spoken_size(self.total)}"

    def run(self) -> Path:
        """Fetch until the digest is right. A wrong file that was resumed is tried once more from its beginning."""
        resumed = self.part.exists() and self.part.stat().st_size > 0
        self._until_complete()
        actual = sha256_of(self.part)
        if actual != self.sha256 and resumed:
            self.part.unlink()
            self._until_complete()
            actual = sha256_of(self.part)
        if actual == self.sha256:
            return self.part
        size = self.part.stat().st_size
        self.part.unlink()
        raise BundleError(
            f"{self.name} was refused: {self.url} gave {spoken_size(size)} with sha256 {actual}, but {self.sha256} is "
            "pinned. Nothing of it was kept. Ask the publisher, or the keeper of the mirror, which of the two is "
            "right; do not change the pin before you know."
        )

    def _until_complete(self) -> None:
        deadline = time.monotonic() + self.patience.deadline
        failures = 0
        while True:
            before = self.part.stat().st_size if self.part.exists() else 0
            try:
                self._attempt(deadline)
                return
            except RangeError:
                # Either all of it is here already, or what is here is of no use; its digest tells.
                if before and sha256_of(self.part) == self.sha256:
                    return
                self.part.unlink(missing_ok=True)
                reason = "the server refused to go on where we were"
            except PassingError as error:
                reason = str(error)
            after = self.part.stat().st_size if self.part.exists() else 0
            failures = 0 if after > before else failures + 1
            if failures >= self.patience.tries_without_progress:
                raise self._gave_up(f"{failures} tries brought nothing more; the last one ended with: {reason}")
            pause = min(self.patience.first_pause * 2 ** max(failures - 1, 0), 30.0)
            if time.monotonic() + pause > deadline:
                raise self._gave_up(
                    f"{spoken_seconds(self.patience.deadline)} passed; the last try ended with: {reason}"
                )
            if self.cancel.wait(pause):
                raise self._stopped()

    def _attempt(self, deadline: float) -> None:
        start = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={start}-"} if start else {}
        with exchange(self.url, self.patience.timeout, headers) as answer:
            if answer.status == 206 and not _goes_on_at(answer, start):
                self.part.unlink(missing_ok=True)
                raise PassingError("the server sent another range than the one asked for")
            if answer.status != 206:
                start = 0
            length = answer.headers.get("Content-Length")
            self.total = start + int(length) if length and length.isdigit() else None
            with disk_sentences(self.part, f"downloading {self.name}"), self.part.open("ab" if start else "wb") as out:
                arrived = start + self._copy(answer, out.write, deadline)
        if self.total is not None and arrived < self.total:
            raise PassingError(f"the connection ended after {arrived} of {self.total} bytes")

    def _copy(self, answer: Any, write: Callable[[bytes], int], deadline: float) -> int:
        count = 0
        while True:
            if self.cancel.is_set():
                raise self._stopped()
            if time.monotonic() > deadline:
                raise self._gave_up(f"{spoken_seconds(self.patience.deadline)} passed and it was still arriving")
            try:
                # One read of the socket at a time, so that a slow trickle cannot hold up the deadline.
                block = answer.read1(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise PassingError(str(error) or type(error).__name__) from error
            if not block:
                return count
            write(block)
            count += len(block)

    def _gave_up(self, why: str) -> BundleError:
        kept = self.part.stat().st_size if self.part.exists() else 0
        rest = f"{spoken_size(kept)} of it are kept, and the next run goes on from there. " if kept else ""
        return BundleError(
            f"{self.name} could not be fetched from {self.url}: {why}. {rest}Check the network or proxy, or set "
            "bundle_mirror to a server that you can reach."
        )

    def _stopped(self) -> StoppedError:
        return StoppedError(f"The download of {self.name} was stopped; the next run goes on from there.")


def _goes_on_at(answer: Any, start: int) -> bool:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return found is not None and int(found.group(1)) == start
