# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of a chat: checked one by one, and brought into the form that chat templates expect."""

from __future__ import annotations

import json
from typing import Any

from holdfast_inference.server.errors import invalid, unsupported
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.settings import Limits

ROLES = ("system", "developer", "user", "assistant", "tool")


def read_messages(fields: Fields, limits: Limits) -> list[dict[str, Any]]:
    """The messages, each as a role and a text, with what belongs to calls of tools."""
    entries = fields.array("messages", limits.messages)
    if not entries:
        raise invalid("messages must be an array of at least one message.", "messages", "missing_required_parameter")
    return [_read_message(Fields.of(entry, f"messages[{number}]")) for number, entry in enumerate(entries)]


def _read_message(fields: Fields) -> dict[str, Any]:
    fields.required_text("role")
    role = fields.choice("role", ROLES, "")
    calls = fields.array("tool_calls", 128) if role == "assistant" else None
    message: dict[str, Any] = {
        # Few templates know OpenAI's newer name of the system's role.
        "role": "system" if role == "developer" else role,
        "content": _read_content(fields, may_be_absent=bool(calls)),
    }
    name = fields.text("name")
    if name is not None:
        message["name"] = name
    if calls:
        where = fields.name("tool_calls")
        message["tool_calls"] = [_read_call(Fields.of(call, f"{where}[{number}]")) for number, call in enumerate(calls)]
    if role == "tool":
        message["tool_call_id"] = fields.required_text("tool_call_id")
    return message


def _read_content(fields: Fields, *, may_be_absent: bool) -> str:
    content = fields.raw("content")
    if content is None:
        refusal = fields.text("refusal")
        if refusal is not None or may_be_absent:
            return refusal or ""
        raise invalid(f"{fields.name('content')} is missing.", fields.name("content"), "missing_required_parameter")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise fields.wrong("content", "a string or an array of parts")
    where = fields.name("content")
    return "\n".join(_read_part(Fields.of(part, f"{where}[{number}]")) for number, part in enumerate(content))


def _read_part(part: Fields) -> str:
    kind = part.required_text("type")
    if kind == "refusal":
        return part.required_text("refusal")
    if kind != "text":
        raise unsupported(f"{part.name('type')} is {kind[:40]!r}; this model reads text only.", part.name("type"))
    return part.required_text("text")


def _read_call(call: Fields) -> dict[str, Any]:
    call.choice("type", ("function",), "function")
    function = call.member("function")
    if function is None:
        raise invalid(f"{call.name('function')} is missing.", call.name("function"), "missing_required_parameter")
    arguments = function.text("arguments") or "{}"
    try:
        # Templates write arguments as JSON; a string would be written as a string within a string.
        parsed: Any = json.loads(arguments)
    except (ValueError, RecursionError):
        parsed = arguments
    return {
        "id": call.required_text("id"),
        "type": "function",
        "function": {"name": function.required_text("name"), "arguments": parsed},
    }
