# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""python -m holdfast_inference.export.teach MODEL QUESTIONS LESSONS: asks a model folder, and writes down what it says
and what it held likeliest at each place, for a smaller model to learn from.

The teacher answers as it is served, rounded weights and all, by the same engine. QUESTIONS are lines of JSON with
`prompt` or `messages`, as in a golden set; an `answer` there is not looked at. How the student learns is its own
affair: `lessons.py` reads the file, needs no library, and dev/fixture/distil.py is a whole example.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..engine.local import LocalEngine, Settings
from ..engine.plan import DoesNotFit
from ..golden import BadGolden, Question, read_questions
from ..lessons import Lesson, write_lessons
from ..model_folder import BadModelFolder
from ..words import Answer, Engine, Finish, Refused, Request, Sampling, Token

NAME = "teacher"
MOST_TOP = 20
AT_ONCE = 32


def lessons_of(
    engine: Engine, model: str, questions: Sequence[Question], *, top: int = 8, max_tokens: int = 256
) -> Iterator[Lesson]:
    """What a model of an engine says to each question, in their order."""
    tokenizer = engine.tokenizer(model)
    waiting: deque[tuple[tuple[int, ...], Answer]] = deque()
    for number, question in enumerate(questions):
        prompt = tuple(question.ids(tokenizer))
        request = Request(f"lesson-{number}", model, prompt, max_tokens, sampling=Sampling(temperature=0), logprobs=top)
        waiting.append((prompt, engine.submit(request)))
        if len(waiting) == AT_ONCE:
            yield _lesson(*waiting.popleft())
    while waiting:
        yield _lesson(*waiting.popleft())


def _lesson(prompt: tuple[int, ...], answer: Answer) -> Lesson:
    drawn = []
    for event in answer:
        if isinstance(event, Token):
            drawn.append(event)
        elif isinstance(event, Finish) and event.reason not in ("stop", "length"):
            raise RuntimeError(f"The teacher failed: {event.reason} {event.message}")
    return Lesson(prompt, tuple(token.id for token in drawn), tuple(token.top for token in drawn))


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast_inference.export.teach", description=__doc__)
    parser.add_argument("model", type=Path, help="the teacher's model folder")
    parser.add_argument("questions", type=Path, help="lines of JSON with prompt or messages")
    parser.add_argument("lessons", type=Path, help="file to write; must not exist")
    parser.add_argument("--top", type=int, default=8, help=f"likeliest tokens to tell at each place, 1 to {MOST_TOP}")
    parser.add_argument("--max-tokens", type=int, default=256, help="of an answer")
    parser.add_argument("--slots", type=int, default=4, help="answers that are drawn at a time")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    options = _arguments(words)
    engine = LocalEngine()
    try:
        if options.lessons.exists():
            raise FileExistsError(f"{options.lessons} exists already and was not touched.")
        if not 1 <= options.top <= MOST_TOP:
            raise ValueError(f"--top is {options.top} and must be from 1 to {MOST_TOP}.")
        questions = read_questions(options.questions)
        facts = engine.activate(NAME, options.model, Settings(slots=options.slots, threads=options.threads))
        told = lessons_of(engine, NAME, questions, top=options.top, max_tokens=options.max_tokens)
        count = write_lessons(options.lessons, told)
    except (BadGolden, BadModelFolder, DoesNotFit, Refused, ValueError, OSError) as refusal:
        print(f"teach: {refusal}", file=sys.stderr)
        return 1
    finally:
        engine.close()
    print(json.dumps({"lessons": count, "teacher": facts.digest, "vocabulary": facts.vocabulary}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
