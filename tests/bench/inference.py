# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the engine is beside llama.cpp on a model of the same shape and bits: `make bench-inference`.

Both engines bare for the ratios, in turn, with as many threads; the server over HTTP beside our own engine. The rival
is llama-cpp-python, built for this processor from the package registry into a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from holdfast_inference.engine.machine import granted_cores

from tests.bench import inference_model as models
from tests.bench import inference_parts as parts

RIVAL = "llama-cpp-python==0.3.36"
# With GCC its matrix tiles get no valid configuration and the first product crashes: ggml-org/llama.cpp, issue 20824.
WITHOUT_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
SEQUENCES = (1, 2, 4, 8)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def rivals_python() -> Path:
    """A Python with the rival, made where there is none."""
    cache = Path(os.environ.get("HOLDFAST_CACHE", Path.home() / ".cache" / "holdfast"))
    venv = cache / f"bench-{RIVAL.replace('==', '-')}"
    if not (venv / ".whole").exists():
        say(f"Building {RIVAL} for this processor (it comes as source; usually 5-20 min).")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        built = os.environ | {"CMAKE_ARGS": f"-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DCMAKE_CXX_FLAGS='{WITHOUT_AMX}'"}
        command = [str(venv / "bin" / "pip"), "install", "--quiet", "--no-cache-dir", RIVAL]
        subprocess.run(command, env=built, check=True, stdout=sys.stderr)
        (venv / ".whole").touch()
    return venv / "bin" / "python"


def rival(python: Path, gguf: Path, threads: int, context: int, steps: int, prompt: int) -> dict[str, Any]:
    """What it says of itself. A build that its flash attention crashes (seen with 0.3.36) is asked once more without,
    and the report says so."""
    script = Path(__file__).with_name("inference_rival.py")
    for flash in (-1, 0):
        numbers = [str(number) for number in (threads, context, steps, prompt, flash)]
        command = [str(python), str(script), str(gguf), *numbers]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return {**json.loads(done.stdout.splitlines()[-1]), "flash_attention": "automatic" if flash else "off"}
        say(f"The rival ended with {done.returncode}{', and is asked without flash attention' if flash else ''}.")
    raise RuntimeError("the rival does not run here")


def ours(folder: Path, threads: int, context: int, steps: int, prompt: int) -> dict[str, Any]:
    """The same of us."""
    exact = {str(n): parts.decode(folder, n, threads, context, steps, exact=True) for n in SEQUENCES}
    return {
        "decode": {name: told["tokens_per_second"] for name, told in exact.items()},
        "quantum": exact["1"]["quantum"],
        "ms_per_step": exact["1"]["ms_per_step"],
        "not_exact": parts.decode(folder, 1, threads, context, steps, exact=False)["tokens_per_second"],
        "prefill": parts.prefill(folder, threads, context, prompt),
    }


def _ratio(mine: list[float], theirs: list[float]) -> float | None:
    return round(statistics.median(mine) / statistics.median(theirs), 3) if theirs else None


def measure(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    shape = models.SHORT if options.short else models.FULL
    steps, prompt, tokens = (16, 128, 32) if options.short else (128, 512, 200)
    threads = options.threads or granted_cores()
    say(f"Making the model ({shape.layers} layers of {shape.hidden}) in {work}.")
    models.make_source(shape, work / "source")
    card = models.make_ours(work / "source", work / "block-64", 64)
    python = None if options.no_rival else rivals_python()
    bits = models.make_rivals(shape, work / "rival.gguf") if python else None
    folder = work / "block-64"
    mine, theirs = [], []
    for number in range(1, options.rounds + 1):
        say(f"Round {number} of {options.rounds}.")
        mine.append(ours(folder, threads, shape.context // 2, steps, prompt))
        if python:
            theirs.append(rival(python, work / "rival.gguf", threads, shape.context // 2, steps, prompt))
    say("The rest: equality, guesses, prefixes, memory, idleness, HTTP.")
    bandwidth = parts.read_bandwidth(threads)
    memory = parts.memory_and_idle(folder, threads, 5.0)
    models.make_source(shape, work / "repeating", repeats=True)
    models.make_ours(work / "repeating", work / "repeating-64", 64)
    speculation = parts.speculation_gain(work / "repeating-64", threads, tokens)
    without_hope = parts.speculation_gain(folder, threads, tokens)
    http = parts.server_overhead(folder, threads, tokens)
    by_count = {
        str(n): _ratio([one["decode"][str(n)] for one in mine], [one["decode"][str(n)] for one in theirs])
        for n in SEQUENCES
    }
    seconds = statistics.median(one["ms_per_step"] for one in mine) / 1000
    return {
        "exact": {
            "row_quantum": mine[0]["quantum"],
            "decode_vs_llamacpp": by_count,
            "bit_equal": parts.bit_equal(folder, threads, tokens // 2),
        },
        "not_exact": {
            "decode_vs_llamacpp": {
                "1": _ratio([one["not_exact"] for one in mine], [one["decode"]["1"] for one in theirs])
            }
        },
        "prefill_vs_llamacpp": _ratio([one["prefill"] for one in mine], [one["prefill"] for one in theirs]),
        "share_of_read_bandwidth": round(card.weight_bytes() / seconds / bandwidth, 3),
        "speculation_gain_on_repeating_context": speculation["gain"],
        "ttft_prefix_hit_over_miss": round(parts.prefix_hit(folder, threads, prompt), 3),
        "server_overhead_ms_per_token": round(http["overhead_ms_per_token"], 3),
        "rss_over_plan": round(memory["rss_over_plan"], 3),
        "idle_cpu": round(memory["idle_cpu"], 4),
        "more": {
            "ours": mine,
            "rival": theirs,
            "bits_per_weight": {"ours": card.report["bits_per_weight"], "rival": bits and round(bits, 3)},
            "speculation": {"repeating": speculation, "not_repeating": without_hope},
            "over_http": {name: round(value, 3) for name, value in http.items()},
            "read_gigabytes_per_second": round(bandwidth / 1e9, 1),
            "threads": threads,
            "engines": "bare on both sides for the ratios; over HTTP ours alone",
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inference", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="process starts, in turn (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of both engines (the whole cores that are granted)")
    parser.add_argument("--short", action="store_true", help="a small model, to see that it works; mean nothing by it")
    parser.add_argument("--no-rival", action="store_true", help="leave the rival out, and say null for it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as work:
        told = measure(Path(work), options)
    print(json.dumps({"bench": "inference", **told, "short": options.short, "rounds": options.rounds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
