# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""GET /status: one page for people. Made here and whole at each request; where scripts are off it loads itself anew."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp

from holdfast_inference import __version__, words
from holdfast_inference.server.insight import summary_of
from holdfast_inference.server.page_look import HEADERS, RENEW_SECONDS, SCRIPT, STYLE, icon
from holdfast_inference.server.run import service_of

NOTHING = "\N{EN DASH}"
_LOOK_OF_STATE = {"ready": "good", "silent": "bad", "stuck": "bad", "away": "bad"}


@runtime_checkable
class Neighbourly(Protocol):
    """An engine that knows of other nodes. Each is told as a row: its name, then whatever there is to say of it."""

    def neighbours(self) -> list[Mapping[str, str]]: ...


async def status(request: Request) -> ASGIApp:
    """What is served, how full it is, and how it has gone in the last minute."""
    service = service_of(request)
    neighbours: list[Mapping[str, str]] = service.engine.neighbours() if isinstance(service.engine, Neighbourly) else []
    tokens = service.measures.recent_tokens.by_second()
    return HTMLResponse(page_of(summary_of(service), service.models(), neighbours, tokens), headers=HEADERS)


def page_of(
    summary: Mapping[str, Any],
    models: Mapping[str, words.ModelFacts],
    neighbours: Iterable[Mapping[str, str]],
    tokens: Sequence[float],
) -> str:
    """The page as HTML."""
    ready = bool(summary["ready"])
    state = "ready" if ready else f"not ready: {summary['not_ready_because']}"
    parts = [
        f'<header><h1>Holdfast inference</h1><span class="state {"good" if ready else "bad"}">{escape(state)}</span>'
        f'<span class="where faint">{escape(platform.node())}</span></header>',
        _tiles(summary, models, tokens),
        "<h2>Models</h2>",
        _table([_model_row(facts, summary["models"].get(name, {})) for name, facts in models.items()]),
    ]
    if rows := list(neighbours):
        parts += ["<h2>Neighbours</h2>", _table([_neighbour_row(row) for row in rows])]
    parts += ["<h2>Times of the last 60 seconds</h2>", _table(_time_rows(summary), stacks=False)]
    told = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    parts.append(
        f"<footer>{told} UTC, renewed every {RENEW_SECONDS} s. Version {escape(__version__)}. "
        'The same for programs: <a href="/metrics/summary">summary</a>, <a href="/metrics">metrics</a>.</footer>'
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(state)}: Holdfast inference</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{icon(ready=ready)}"><style>{STYLE}</style>'
        f'<noscript><meta http-equiv="refresh" content="{RENEW_SECONDS}"></noscript></head>'
        f'<body><div id="old" role="alert" hidden></div><main>{"".join(parts)}</main>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _tiles(summary: Mapping[str, Any], models: Mapping[str, words.ModelFacts], tokens: Sequence[float]) -> str:
    """What a glance must find."""
    loads = summary["models"].values()
    running, waiting = (sum(load[name] for load in loads) for name in ("running", "waiting"))
    first = summary["time_to_first_token_seconds"]
    tiles = [
        ("tokens / s", f"{summary['tokens_per_second']:,.1f}", _line(tokens)),
        ("running", str(running), f"of {sum(facts.slots for facts in models.values())} slots"),
        ("waiting", str(waiting), f"{sum(load['queued_tokens'] for load in loads):,} tokens"),
        ("first token", _time(first["p50"]), f"median; p99 {_time(first['p99'])}"),
        ("requests, 60 s", f"{summary['requests']:,}", f"{summary['refused']:,} refused, {_failed(summary)}"),
    ]
    golden = summary["golden"]
    if golden is not None:
        right = f"of {golden['asked']:,} of {escape(golden['model'])} right"
        tiles.append(("last golden run", f"{golden['accuracy']:.1%}", right))
    return (
        '<dl class="tiles">'
        + "".join(f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>" for name, value, more in tiles)
        + "</dl>"
    )


def _failed(summary: Mapping[str, Any]) -> str:
    told = f"{summary['failed']:,} failed"
    return f'<span class="bad">{told}</span>' if summary["failed"] else told


def _model_row(facts: words.ModelFacts, load: Mapping[str, Any]) -> dict[str, str]:
    queued, most = load.get("queued_tokens", 0), load.get("queue_limit_tokens", 0)
    exact = "yes" if facts.row_quantum else '<span class="bad">no, varies with load</span>'
    return {
        "model": escape(facts.name),
        "digest": escape(facts.digest[:16]),
        "context": f"{facts.context_length:,}",
        "exact": exact,
        "running": f"{load.get('running', 0)} of {facts.slots}",
        "waiting": str(load.get("waiting", 0)),
        "queued tokens": f"{queued:,} of {most:,}{_bar(queued / most if most else 0.0)}",
        "KV in use": f"{load.get('kv_use', 0.0):.0%}{_bar(load.get('kv_use', 0.0))}",
    }


def _neighbour_row(row: Mapping[str, str]) -> dict[str, str]:
    told = {name: escape(value) for name, value in row.items()}
    if look := _LOOK_OF_STATE.get(row.get("state", "")):
        told["state"] = f'<span class="state {look}">{told["state"]}</span>'
    return told


def _time_rows(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    named = {
        "to the first token": "time_to_first_token_seconds",
        "from token to token": "inter_token_seconds",
        "whole answers": "answer_seconds",
    }
    return [
        {"": name} | {share: _time(value) for share, value in summary[member].items()} for name, member in named.items()
    ]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def _bar(share: float) -> str:
    """How full something is. Drawn, since a style of its own is what the page forbids itself."""
    full = min(max(share, 0.0), 1.0) * 100
    return (
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="100" height="1"/><rect width="{full:.1f}" height="1"/></svg>'
    )


def _line(values: Sequence[float]) -> str:
    """How something went, the newest at the right; its highest point is the highest of the values."""
    most = max(values, default=0.0) or 1.0
    points = " ".join(f"{place},{19 - 18 * value / most:.1f}" for place, value in enumerate(values))
    return (
        f'<svg class="line" viewBox="0 0 {max(len(values) - 1, 1)} 20" preserveAspectRatio="none" aria-hidden="true">'
        f'<polyline vector-effect="non-scaling-stroke" points="{points}"/></svg>'
    )


def _table(rows: list[dict[str, str]], *, stacks: bool = True) -> str:
    """Rows of HTML; where the window is narrow and it stacks, values stand below each other with their names."""
    if not rows:
        return '<div class="card faint">none</div>'
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f'<td data-name="{escape(name)}"><div>{row.get(name, "")}</div></td>' for name in rows[0])
        + "</tr>"
        for row in rows
    )
    kind = "rows" if stacks else "times"
    return f'<div class="card"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
