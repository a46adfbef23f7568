# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp on the bench's GGUF file, bare: run by a Python of its own, which has llama-cpp-python and nothing of ours.

    python inference_rival.py MODEL THREADS CONTEXT STEPS PROMPT FLASH

FLASH is -1 where llama.cpp decides itself about its flash attention, as is usual, and 0 where it must do without.

Ends with one JSON line: tokens a second of decode at 1, 2, 4 and 8 sequences, and of prefill.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

CHUNK = 512


def main(arguments: list[str]) -> int:
    import llama_cpp  # type: ignore[import-not-found]

    path, (threads, context, steps, prompt, flash) = arguments[0], map(int, arguments[1:6])
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        print(f"llama.cpp does not take {path}", file=sys.stderr)
        return 1
    told: dict[str, Any] = {"decode": {}, "version": llama_cpp.__version__}
    for sequences in (1, 2, 4, 8):
        told["decode"][str(sequences)] = _decode(llama_cpp, model, (threads, context, flash), sequences, steps)
    told["prefill"] = _prefill(llama_cpp, model, (threads, context, flash), prompt)
    print(json.dumps(told))
    return 0


def _open(lib: Any, model: Any, how: tuple[int, int, int], sequences: int) -> Any:
    threads, context, flash = how
    parameters = lib.llama_context_default_params()
    parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = context * sequences, CHUNK, CHUNK
    parameters.n_seq_max, parameters.n_threads, parameters.n_threads_batch = sequences, threads, threads
    parameters.flash_attn_type = flash
    return lib.llama_init_from_model(model, parameters)


def _fill(batch: Any, rows: list[tuple[int, int, int, bool]]) -> None:
    batch.n_tokens = len(rows)
    for index, (token, position, sequence, wanted) in enumerate(rows):
        batch.token[index], batch.pos[index] = token, position
        batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, sequence, wanted


def _run(lib: Any, context: Any, batch: Any, rows: list[tuple[int, int, int, bool]]) -> None:
    _fill(batch, rows)
    if lib.llama_decode(context, batch) != 0:
        raise RuntimeError("llama_decode failed")


def _decode(lib: Any, model: Any, how: tuple[int, int, int], sequences: int, steps: int) -> float:
    context = _open(lib, model, how, sequences)
    batch = lib.llama_batch_init(CHUNK, 0, 1)
    for position in range(4):
        _run(lib, context, batch, [(5 + position, position, one, True) for one in range(sequences)])
    begun = time.perf_counter()
    for position in range(4, 4 + steps):
        _run(lib, context, batch, [(7 + position % 300, position, one, True) for one in range(sequences)])
    spent = time.perf_counter() - begun
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    return sequences * steps / spent


def _prefill(lib: Any, model: Any, how: tuple[int, int, int], prompt: int) -> float:
    context = _open(lib, model, how, 1)
    batch = lib.llama_batch_init(CHUNK, 0, 1)
    rows = [(5 + position % 300, position, 0, position == prompt - 1) for position in range(prompt)]
    spent = []
    for _ in range(3):
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        begun = time.perf_counter()
        for first in range(0, prompt, CHUNK):
            _run(lib, context, batch, rows[first : first + CHUNK])
        spent.append(time.perf_counter() - begun)
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    return prompt / min(spent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
