# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""python -m holdfast_inference.export SOURCE TARGET: a Hugging Face folder becomes a model folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import Unknown
from .exporter import Order, export
from .prune import prune_mlp
from .recipe import BLOCKS, Recipe


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast_inference.export", description=__doc__)
    parser.add_argument(
        "source", type=Path, help="folder with config.json, *.safetensors and tokenizer.json; or a .gguf file"
    )
    parser.add_argument("target", type=Path, help="folder to make; must not exist")
    parser.add_argument("--name", help="name of the model (the target's name)")
    parser.add_argument("--weights", choices=("int4", "int8", "f32"), default="int4")
    parser.add_argument(
        "--block", type=int, choices=BLOCKS, default=64, help="32 is closer to the source, 128 is faster"
    )
    parser.add_argument("--method", choices=("rtn", "hqq", "gptq"), default="hqq", help="how int4 scales are found")
    parser.add_argument("--plain", action="store_true", help="no layers of the MLP in int8")
    parser.add_argument(
        "--kv", choices=("int8", "f32"), default="int8", help="f32 is four times as large, and not exact"
    )
    parser.add_argument("--context", type=int, help="longest context to serve (what the source allows)")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of requests at a time")
    parser.add_argument(
        "--prune",
        type=float,
        metavar="SHARE",
        help="leave out this share of the MLP's channels, such as 0.2: those of the least magnitude; see prune.py",
    )
    parser.add_argument("--texts", type=Path, help="texts to calibrate KV with, separated by empty lines")
    parser.add_argument("--tokenizer", type=Path, help="folder with tokenizer.json (the source's)")
    parser.add_argument("--judge", type=Path, help="texts to tell perplexity and agreement with, before and after")
    parser.add_argument("--golden", type=Path, help="lines of JSON with prompt or messages, and the right answer")
    parser.add_argument(
        "--agreement",
        type=float,
        help="share of tokens, such as 0.99: products that round away the likeliest token on the golden set or the "
        "texts are raised to a higher accuracy until so many are the same; each takes twice the time",
    )
    parser.add_argument(
        "--not-judged", action="store_true", help="put the golden set into the folder, and do not ask it"
    )
    return parser.parse_args(words)


def _texts(path: Path | None) -> tuple[str, ...]:
    whole = path.read_text(encoding="utf-8") if path else ""
    return tuple(text for text in whole.split("\n\n") if text.strip())


def main(words: list[str] | None = None) -> int:
    options = _arguments(words)
    try:
        recipe = Recipe(
            weights=options.weights,
            block=options.block,
            method=options.method,
            mixed=not options.plain,
            kv=options.kv,
            slots=tuple(sorted(set(options.slots))),
        )
        order = Order(
            source=options.source,
            target=options.target,
            name=options.name or options.target.name,
            recipe=recipe,
            context=options.context,
            texts=_texts(options.texts),
            judge_texts=_texts(options.judge),
            golden=options.golden,
            judge_golden=not options.not_judged,
            tokenizer=options.tokenizer,
            agreement=options.agreement,
            changes=() if options.prune is None else (prune_mlp(options.prune, block=options.block),),
        )
        card = export(order)
    except (Unknown, OSError) as refusal:
        print(f"export: {refusal} Nothing was written.", file=sys.stderr)
        return 1
    told = {
        "name": card.name,
        "family": card.family,
        "task": card.task,
        "digest": card.digest,
        "parameters": card.parameters,
        "kv_bytes_per_token": card.kv_bytes_per_token(),
        **card.report,
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
