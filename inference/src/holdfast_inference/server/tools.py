# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The tools of a chat: which may be called, which must be, and the grammar that makes sure of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from holdfast_inference import words
from holdfast_inference.server.errors import invalid, unsupported
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.formats import schema_grammar
from holdfast_inference.server.settings import Limits

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Tools:
    """How tools take part in an answer. `none`: not at all; `may`: the model marks calls in its text; `must`: the
    whole answer is one call, held to it by a grammar."""

    use: Literal["none", "may", "must"]
    shown: tuple[dict[str, Any], ...] = ()
    """As the chat template gets them."""
    several: bool = True
    grammar: words.Grammar | None = None


NO_TOOLS = Tools("none")


def read_tools(fields: Fields, limits: Limits) -> Tools:
    """The tools and the choice among them."""
    entries = fields.array("tools", limits.tools) or []
    tools = tuple(_read_tool(Fields.of(entry, f"tools[{number}]")) for number, entry in enumerate(entries))
    several = fields.boolean("parallel_tool_calls", True)
    choice = fields.raw("tool_choice")
    if choice is None:
        choice = "auto" if tools else "none"
    if not tools and choice not in ("none", "auto"):
        raise invalid("tool_choice asks for a tool, and there are none.", "tool_choice")
    if not tools or choice == "none":
        return NO_TOOLS
    if choice == "auto":
        return Tools("may", tools, several)
    if choice == "required":
        return Tools("must", tools, False, _call_grammar(tools, limits))
    return Tools("must", tools, False, _call_grammar((_chosen(choice, tools),), limits))


def _read_tool(tool: Fields) -> dict[str, Any]:
    kind = tool.required_text("type")
    if kind != "function":
        raise unsupported(f"{tool.name('type')} is {kind[:40]!r}; there are only functions here.", tool.name("type"))
    function = tool.member("function")
    if function is None:
        raise invalid(f"{tool.name('function')} is missing.", tool.name("function"), "missing_required_parameter")
    name = function.required_text("name")
    if not _NAME.fullmatch(name):
        raise invalid(f"{function.name('name')} must be of 1 to 64 letters, digits, . _ -", function.name("name"))
    function.known("strict")
    parameters = function.raw("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise function.wrong("parameters", "an object")
    described = {"name": name, "description": function.text("description") or "", "parameters": parameters or _NOTHING}
    return {"type": "function", "function": described}


_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def _chosen(choice: Any, tools: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    if isinstance(choice, str):
        raise invalid("tool_choice must be none, auto, required, or name a function.", "tool_choice")
    wanted = Fields.of(choice, "tool_choice")
    if wanted.required_text("type") != "function":
        raise unsupported("tool_choice can name a function only.", "tool_choice.type")
    function = wanted.member("function")
    name = function.required_text("name") if function else wanted.required_text("name")
    for tool in tools:
        if tool["function"]["name"] == name:
            return tool
    raise invalid(f"tool_choice names {name[:64]!r}, which is not among the tools.", "tool_choice")


def _call_grammar(tools: tuple[dict[str, Any], ...], limits: Limits) -> words.Grammar:
    single = len(tools) == 1
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool["function"]["name"]},
                "arguments": _moved(
                    _closed(tool["function"]["parameters"]),
                    f"#{'' if single else f'/anyOf/{number}'}/properties/arguments",
                ),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for number, tool in enumerate(tools)
    ]
    return schema_grammar(calls[0] if single else {"anyOf": calls}, "tools", limits)


def _closed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters without arguments that the tool does not name, unless it says that it takes them."""
    if "properties" not in parameters or {"additionalProperties", "unevaluatedProperties"} & parameters.keys():
        return parameters
    combined = {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"} & parameters.keys()
    return parameters if combined else {**parameters, "additionalProperties": False}


def _moved(schema: Any, place: str) -> Any:
    """A schema that is used within another one: references to its own root point to its new place."""
    if isinstance(schema, list):
        return [_moved(entry, place) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: place + value[1:]
        if name == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, place)
        for name, value in schema.items()
    }
