# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The table of contents: which path does what, and through which layers a request goes."""

from __future__ import annotations

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast_inference.server import (
    admin,
    chat,
    completions,
    embeddings,
    generate,
    insight,
    listing,
    open_inference,
    openapi,
    page,
)
from holdfast_inference.server.cors import Cors
from holdfast_inference.server.guard import Guard
from holdfast_inference.server.outermost import Outermost
from holdfast_inference.server.run import anew_if_exchanged
from holdfast_inference.server.service import Service

_V2_MODELS = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")

ROUTES = (
    Route("/generate", anew_if_exchanged(generate.generate), methods=["POST"]),
    Route("/v1/chat/completions", anew_if_exchanged(chat.chat_completions), methods=["POST"]),
    Route("/v1/completions", anew_if_exchanged(completions.completions), methods=["POST"]),
    Route("/v1/embeddings", anew_if_exchanged(embeddings.embeddings), methods=["POST"]),
    Route("/v1/models", listing.models),
    Route("/v1/models/{model:path}", listing.model),
    Route("/v2", open_inference.about_server),
    Route("/v2/health/live", insight.live),
    Route("/v2/health/ready", insight.ready),
    *(Route(path, open_inference.about_model) for path in _V2_MODELS),
    *(Route(f"{path}/ready", open_inference.model_ready) for path in _V2_MODELS),
    *(Route(f"{path}/generate", anew_if_exchanged(open_inference.generate), methods=["POST"]) for path in _V2_MODELS),
    *(
        Route(f"{path}/generate_stream", anew_if_exchanged(open_inference.generate_stream), methods=["POST"])
        for path in _V2_MODELS
    ),
    *(Route(f"{path}/infer", anew_if_exchanged(open_inference.infer), methods=["POST"]) for path in _V2_MODELS),
    Route("/health/live", insight.live),
    Route("/health/ready", insight.ready),
    Route("/openapi.json", openapi.openapi),
    Route("/status", page.status),
    Route("/metrics", insight.metrics),
    Route("/metrics/summary", insight.summary),
)
ADMIN_ROUTES = (
    Route("/admin/status", insight.summary),
    Route("/admin/drain", admin.drain, methods=["POST"]),
    Route("/admin/resume", admin.resume, methods=["POST"]),
    Route("/admin/activate", admin.activate, methods=["POST"]),
    Route("/admin/roll_back", admin.roll_back, methods=["POST"]),
    Route("/admin/probe", anew_if_exchanged(admin.probe), methods=["POST"]),
)


def public_app(service: Service) -> ASGIApp:
    """What clients see."""
    access = service.settings.access
    guarded = Guard(_Routes(ROUTES), access, service.keys)
    # Around everything, since a page may also read why it was refused.
    return Cors(Outermost(guarded, service), access.origins)


def admin_app(service: Service) -> ASGIApp:
    """What the operator sees, on a socket that only the operator can open; it asks for no key."""
    return Outermost(_Routes(ADMIN_ROUTES), service)


class _Routes:
    """Starlette's router without its error pages: what is raised goes to the outermost layer, which knows whether the
    client is still sending."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # With an application in the scope, the router raises what it cannot find instead of answering in plain text.
        scope["app"] = self
        await self._router(scope, receive, send)
