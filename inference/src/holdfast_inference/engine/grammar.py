# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps an answer within a grammar: tells which tokens may come next."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import llguidance
import numpy as np
from numpy.typing import NDArray

from ..words import Grammar, Refused
from .text import ModelTokenizer

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

LOG = logging.getLogger(__name__)
_LONGEST = 256 * 1024
_MOST_BRANCHES = 4000
# A blank, or a new line with its indentation; blanks in a row are what small models fall into, and each costs its time.
_JSON: JsonCompileOptions = {"whitespace_pattern": r" ?|\n {0,20}"}


class GrammarError(Exception):
    """A matcher gave up in the middle of an answer, as on a grammar that explodes with what was drawn so far."""


class Grammars:
    """Makes matchers for one model's tokens, with a table of them that is made here, while the model is loaded. For a
    large vocabulary that takes seconds in which nothing else of this process runs: under requests, the first grammar
    would make the node look dead."""

    def __init__(self, tokenizer: ModelTokenizer, vocabulary: int, eos_ids: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        self._table: llguidance.LLTokenizer | None = None
        self._reason = ""
        content = tokenizer.path.read_text(encoding="utf-8")
        try:
            self._table = llguidance.LLTokenizer(content, n_vocab=vocabulary, eos_token=list(eos_ids) or None)
        except ValueError as error:
            self._reason = str(error)
            LOG.warning("%s: answers cannot be kept within grammars: %s", tokenizer.path, error)

    def matcher(self, grammar: Grammar) -> Matcher:
        """Refused with `invalid_grammar` and the reason, where it is wrong or too large."""
        if len(grammar.text) > _LONGEST:
            raise Refused("invalid_grammar", f"The grammar is longer than {_LONGEST} characters.", param="grammar")
        try:
            text = _compiled(grammar)
        except (ValueError, RecursionError) as error:
            raise Refused("invalid_grammar", f"The grammar cannot be read: {error}", param="grammar") from None
        if self._table is None:
            message = f"This model's tokenizer serves no grammars: {self._reason}"
            raise Refused("invalid_grammar", message, param="grammar")
        limits = llguidance.LLParserLimits(max_items_in_row=_MOST_BRANCHES, verbose_errors=False)
        matcher = llguidance.LLMatcher(self._table, text, log_level=0, limits=limits)
        if matcher.is_error():
            reason = matcher.get_error().strip().splitlines()[0][:500]
            raise Refused("invalid_grammar", f"The grammar is not usable: {reason}", param="grammar")
        made = Matcher(matcher, self._vocabulary)
        try:
            begins = made.allowed().any()
        except GrammarError as error:
            raise Refused("invalid_grammar", f"The grammar is not usable: {error}", param="grammar") from None
        if not begins:
            raise Refused("invalid_grammar", "Nothing at all follows this grammar.", param="grammar")
        return made


def _compiled(grammar: Grammar) -> str:
    if grammar.kind == "json_object":
        return llguidance.LLMatcher.grammar_from_json_schema({"type": "object"}, defaults=_JSON)
    if grammar.kind == "json_schema":
        schema = json.loads(grammar.text)
        if not isinstance(schema, dict | bool):
            raise ValueError("a JSON schema is an object")
        return llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=_JSON)
    if grammar.kind == "regex":
        return llguidance.LLMatcher.grammar_from_regex(grammar.text)
    return llguidance.LLMatcher.grammar_from_lark(grammar.text)


class Matcher:
    """Where one answer is in its grammar."""

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    def allowed(self) -> NDArray[np.bool_]:
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        mask = np.zeros(self._vocabulary, np.bool_)
        known = np.unpackbits(bits, bitorder="little")[: self._vocabulary].astype(np.bool_)
        mask[: known.size] = known
        return mask

    def accept(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            self._check()
            raise GrammarError(f"token {token} does not fit the grammar")

    def finished(self) -> bool:
        """Nothing but the end may follow."""
        return bool(self._matcher.is_stopped())

    def certain(self, most: int) -> list[int]:
        """Tokens that must come next, as far as that is known."""
        return [int(token) for token in self._matcher.compute_ff_tokens()[:most]]

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarError(self._matcher.get_error().strip().splitlines()[0][:500])
