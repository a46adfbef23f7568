# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Golden sets: questions with their right answers, one a line of JSON. A model folder may carry one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .words import Tokenizer


class BadGolden(Exception):  # noqa: N818 - it names what is bad, and reads so where it is caught
    """A file that is no golden set, with the line that is wrong."""


@dataclass(frozen=True)
class Question:
    """What is asked, as a plain prompt or as a conversation, and the answer that is right."""

    answer: str
    prompt: str = ""
    messages: tuple[Mapping[str, Any], ...] = ()

    def ids(self, tokenizer: Tokenizer) -> list[int]:
        """As the model reads it."""
        return tokenizer.chat(self.messages) if self.messages else tokenizer.encode(self.prompt)

    def asked(self) -> str:
        """For people to read."""
        return str(self.messages[-1].get("content", "")) if self.messages else self.prompt


def read_golden(path: Path) -> list[Question]:
    """Lines with `answer`, and `prompt` or `messages`; empty lines mean nothing."""
    return _read(path, has_answers=True)


def read_questions(path: Path) -> list[Question]:
    """The same without answers; where there are some, they are not looked at."""
    return _read(path, has_answers=False)


def _read(path: Path, *, has_answers: bool) -> list[Question]:
    questions = []
    wanted = "answer, and prompt or messages" if has_answers else "prompt or messages"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadGolden(f"{path} cannot be read: {error}.") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                questions.append(_question(json.loads(line), has_answers=has_answers))
            except (ValueError, KeyError, TypeError) as error:
                raise BadGolden(f"{path}, line {number} is no sample ({wanted}): {error!r}.") from None
    if not questions:
        raise BadGolden(f"{path} holds no samples.")
    return questions


def _question(told: Any, *, has_answers: bool) -> Question:
    answer = told["answer"] if has_answers else ""
    asked = told["messages"] if "messages" in told else told["prompt"]
    if not (isinstance(answer, str) and bool(answer) == has_answers and asked):
        raise ValueError("an answer or what is asked is empty or no text")
    if isinstance(asked, str):
        return Question(answer, prompt=asked)
    if not all(isinstance(message, dict) and isinstance(message.get("content"), str) for message in asked):
        raise ValueError("a message is no object with a content")
    return Question(answer, messages=tuple(asked))
