# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What a teacher said, for a smaller model to learn from: an answer a line of JSON, with the tokens that the teacher
held likeliest at each place. The ids are those of the teacher's tokenizer, so the student has to have the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class BadLesson(Exception):  # noqa: N818 - it names what is bad, and reads so where it is caught
    """A line that is no lesson."""


@dataclass(frozen=True)
class Lesson:
    """One answer. The token that ends it is its last id, where it came to its end."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    likeliest: tuple[tuple[tuple[int, float], ...], ...]
    """For each token of the answer: ids and their log probabilities, the likeliest first. What they do not add up to is
    the share of all other tokens."""


def write_lessons(path: Path, lessons: Iterable[Lesson]) -> int:
    """Writes them as they come, and says how many there were. The file appears when it is whole."""
    unfinished = path.with_name(path.name + ".part")
    count = 0
    with unfinished.open("w", encoding="utf-8") as file:
        for lesson in lessons:
            file.write(json.dumps(asdict(lesson), separators=(",", ":")) + "\n")
            count += 1
    unfinished.rename(path)
    return count


def read_lessons(path: Path) -> Iterator[Lesson]:
    """One after the other."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield _lesson(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise BadLesson(f"{path}, line {number} is no lesson: {error!r}.") from None


def _lesson(told: Any) -> Lesson:
    likeliest = tuple(tuple((int(token), float(logprob)) for token, logprob in place) for place in told["likeliest"])
    answer = tuple(int(token) for token in told["answer"])
    if len(likeliest) != len(answer) or not answer:
        raise ValueError(f"{len(answer)} tokens and {len(likeliest)} places")
    return Lesson(tuple(int(token) for token in told["prompt"]), answer, likeliest)
