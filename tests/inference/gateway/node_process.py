# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the processes of nodes and gateways: the programs' own main(). Forked from a process that has imported
them already, so that a node that was killed is back soon."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

from holdfast_inference.engine import local
from holdfast_inference.engine.answer import LiveAnswer
from holdfast_inference.gateway import __main__ as gateway_program
from holdfast_inference.server import __main__ as server_program
from holdfast_inference.words import Request

MINE = "Deadly nightshade."
"""A prompt with this text kills the process that reads it, where the node was told so."""
LEAK = 16384
"""Bytes that a leaking node keeps of each answer."""


def _into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.nice(19)


def node(settings: Path, log: Path, *, mined: bool, leaking: bool) -> None:
    """A node."""
    _into(log)
    if mined:
        local.LocalEngine = _Mined  # type: ignore[misc]
    if leaking:
        local.LocalEngine = _Leaking  # type: ignore[misc]
    server_program.main(["run", "--settings", str(settings)])


def gateway(settings: Path, log: Path) -> None:
    """A gateway."""
    _into(log)
    gateway_program.main(["--settings", str(settings)])


class _Mined(local.LocalEngine):
    """No model that is any good dies of a prompt; this stands for the one that would. All else is as it is."""

    def submit(self, request: Request) -> LiveAnswer:
        if MINE in self.tokenizer(request.model).decode(request.prompt_ids):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().submit(request)


class _Leaking(local.LocalEngine):
    """Keeps a little of each request for ever, so that a test of what memory does can be seen to fail."""

    kept: ClassVar[list[bytes]] = []

    def submit(self, request: Request) -> LiveAnswer:
        self.kept.append(os.urandom(LEAK))
        return super().submit(request)
