# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""response_format: what an answer must look like, as a grammar for the engine."""

from __future__ import annotations

import json
from typing import Any

from holdfast_inference import words
from holdfast_inference.server.errors import invalid
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.settings import Limits


def read_format(fields: Fields, limits: Limits) -> words.Grammar | None:
    """The grammar of a chat's response_format; None where any text will do."""
    wanted = fields.member("response_format")
    if wanted is None:
        return None
    kind = wanted.choice("type", ("text", "json_object", "json_schema"), "text")
    if kind == "text":
        return None
    if kind == "json_object":
        return words.Grammar("json_object")
    described = wanted.member("json_schema")
    if described is None:
        raise invalid("response_format.json_schema is missing.", "response_format.json_schema")
    described.known("name", "description", "strict")
    schema = described.raw("schema")
    return schema_grammar({} if schema is None else schema, "response_format.json_schema.schema", limits)


def schema_grammar(schema: Any, where: str, limits: Limits) -> words.Grammar:
    """A grammar of a JSON schema, if it is one by its kind and size; what is inside, the engine's compiler judges."""
    if not isinstance(schema, dict | bool):
        raise invalid(f"{where} must be an object.", where, "invalid_type")
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8")) > limits.schema_bytes:
        raise invalid(f"{where} is larger than {limits.schema_bytes} bytes, which is this server's limit.", where)
    return words.Grammar("json_schema", text)
