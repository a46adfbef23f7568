# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with a real engine and a real, tiny, untrained model, for the check list of the API."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
from holdfast_inference.server.loading import load_engine
from holdfast_inference.server.settings import Access, EngineSettings, Settings

from tests.inference.engine.asking import make_model

from .running import Running, running, wait_until

MODEL = "tiny"
CONTEXT = 512


@dataclasses.dataclass(frozen=True)
class Site:
    """The server, and OpenAI's own client of it."""

    server: Running
    openai: openai.OpenAI
    model_folder: Path

    def chat(self, content: str = "Where is the lamp?", **members: Any) -> Any:
        """One chat completion; greedy and short where nothing else is said."""
        messages = [{"role": "user", "content": content}]
        told: dict[str, Any] = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 24}
        return self.openai.chat.completions.create(**(told | members))

    def completion(self, prompt: Any = "The lamp is in", **members: Any) -> Any:
        """One completion; greedy and short where nothing else is said."""
        told: dict[str, Any] = {"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": 24}
        return self.openai.completions.create(**(told | members))


@contextlib.contextmanager
def real_site(
    folder: Path, model: Path | None = None, made_key: tuple[str, str] | None = None, **changes: Any
) -> Iterator[Site]:
    """A site until the end of the block."""
    model = model or make_model(folder)

    def settings(access: Access) -> Settings:
        told: dict[str, Any] = {
            "port": 0,
            "access": access,
            "models": {MODEL: model},
            "engine": EngineSettings(threads=1),
            "ping_seconds": 0.05,
            "drain_seconds": 0.2,
        }
        return Settings(**(told | changes))

    started = running(folder, lambda: load_engine(settings(Access())), settings, made_key=made_key)
    with started as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, 30)
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as asking:
            yield Site(server, asking, model)
