# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""From the server's settings to an engine that has its models."""

from __future__ import annotations

from holdfast_inference.engine import local, runner, scheduler
from holdfast_inference.server.settings import EngineSettings, Settings


def load_engine(settings: Settings) -> local.LocalEngine:
    """The engine with all models of the settings."""
    engine = local.LocalEngine()
    try:
        for name, folder in settings.models.items():
            engine.activate(name, folder, engine_settings(settings.engine))
    except BaseException:
        engine.close()
        raise
    return engine


def engine_settings(wanted: EngineSettings) -> local.Settings:
    """The engine's own words for them."""
    return local.Settings(
        slots=wanted.slots,
        context=wanted.context or None,
        threads=wanted.threads or None,
        memory=wanted.memory_bytes or None,
        packed=wanted.packed_folder,
        providers=runner.Providers(wanted.providers, tuple({} for _ in wanted.providers)),
        limits=scheduler.Limits(queue_tokens=wanted.queue_tokens),
    )
