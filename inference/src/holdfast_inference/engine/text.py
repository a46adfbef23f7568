# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Text to ids and back: the model's tokenizer, its chat template, and the text of an answer as it grows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import tokenizers

from ..model_folder import file_digest
from ..words import Refused, Tokenizer

_HALF = "\ufffd"


def _raise(message: str) -> str:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """What templates expect of this filter; the one of Jinja escapes for HTML, which models were not taught."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` marks what training learns from; here its content is text like any other."""

    tags = {"generation"}  # noqa: RUF012 - declared so by its base

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ModelTokenizer:
    """The tokenizer of a model folder. Safe from several threads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokenizer.json"
        self.digest = file_digest(self.path)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(self.path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._told: dict[str, Any] = {}
        if (folder / "tokenizer_config.json").is_file():
            self._told = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self._template = self._read_template(folder)

    @property
    def has_chat(self) -> bool:
        return self._template is not None

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        # Alone, it would hold the interpreter for as long as it takes, seconds where the text is long. In a batch, even
        # of one, other threads go on.
        (encoded,) = self._tokenizer.encode_batch([text], add_special_tokens=special)
        return list(encoded.ids)

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=not special))

    def id_of(self, token: str) -> int | None:
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        answer_begins: bool = True,
        **more: Any,
    ) -> list[int]:
        if self._template is None:
            raise Refused(
                "invalid_value", "This model has no chat template; ask it with a plain prompt.", param="messages"
            )
        names = ("bos_token", "eos_token", "pad_token", "unk_token")
        named = {name: self._content(self._told.get(name)) for name in names}
        try:
            text = self._template.render(
                messages=messages, tools=tools, add_generation_prompt=answer_begins, **(named | more)
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            message = f"The model's chat template does not take these messages: {error}"
            raise Refused("invalid_value", message, param="messages") from None
        return self.encode(text, special=False)

    @staticmethod
    def _content(token: Any) -> str:
        if isinstance(token, Mapping):
            return str(token.get("content", ""))
        return "" if token is None else str(token)

    def _read_template(self, folder: Path) -> jinja2.Template | None:
        source = self._told.get("chat_template")
        if isinstance(source, list):
            by_name = {str(item["name"]): str(item["template"]) for item in source}
            source = by_name.get("default", next(iter(by_name.values()), None))
        if (folder / "chat_template.jinja").is_file():
            source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        if not source:
            return None
        # A template is a stranger's program: it runs in the sandbox, and cannot change what it is given.
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", GenerationTag]
        )
        environment.globals["raise_exception"] = _raise
        environment.filters["tojson"] = _to_json
        return environment.from_string(str(source))


class TextStream:
    """The text of an answer, token by token. What is not certain yet is held back: half a character, and the
    beginning of what may become a stop word. It depends on the ids alone, so an answer that moved is cut at the
    same places."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._begin = 0
        self._shown = 0
        self._held = ""
        self.stopped: str | None = None

    def push(self, token: int, *, may_stop: bool = True) -> str:
        """What may be shown now. After a stop word (`stopped`) there is nothing more."""
        self._ids.append(token)
        self._held += self._new_text(final=False)
        if not may_stop:
            released, self._held = self._held, ""
            return released
        return self._release()

    def finish(self) -> str:
        """All that was held back, when the answer ends otherwise than by a stop word."""
        if self.stopped is not None:
            return ""
        self._held += self._new_text(final=True)
        released = self._release()
        if self.stopped is None:
            released, self._held = released + self._held, ""
        return released

    def _new_text(self, *, final: bool) -> str:
        """The text of the ids since the last whole character: decoded with those before it, since some
        tokenizers write a token differently at the beginning of a text."""
        before = self._tokenizer.decode(self._ids[self._begin : self._shown])
        text = self._tokenizer.decode(self._ids[self._begin :])
        if not final and text.endswith(_HALF):
            return ""
        self._begin, self._shown = self._shown, len(self._ids)
        return text[len(before) :]

    def _release(self) -> str:
        found = [(self._held.find(word), word) for word in self._stop]
        places = [(place + len(word), place, word) for place, word in found if place >= 0]
        if places:
            # The word that is complete first ends the answer, however the text was cut into tokens.
            _, place, self.stopped = min(places)
            released, self._held = self._held[:place], ""
            return released
        keep = max((_overlap(self._held, word) for word in self._stop), default=0)
        cut = len(self._held) - keep
        released, self._held = self._held[:cut], self._held[cut:]
        return released


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of the text are the beginning of the word."""
    return next((size for size in range(min(len(text), len(word) - 1), 0, -1) if text.endswith(word[:size])), 0)
