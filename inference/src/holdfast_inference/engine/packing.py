# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Weights as this processor wants them, in a file that sessions map and share.

A session arranges the weights anew for the kernels of its processor, in memory of its own: a second session of the
same model takes all of it again. Arranged once and written down, they are mapped by each session, in each process, and
take their place once. The arrangement belongs to one processor and one onnxruntime, so it is made here, of a folder
that was verified, and never shipped. What is damaged is made again; what cannot be made (a full disk) is done without.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from ..model_folder import Card, describe_files, file_digest
from .machine import PROC

LOG = logging.getLogger(__name__)

KEPT = 4
"""Arrangements that stay, those used last: the model, the one before it to roll back to, and what is tried."""
_GRAPH, _WEIGHTS, _TOLD = "graph.onnx", "weights.bin", "packed.json"
_SMALLEST = 1024
"""Bytes of a tensor from which on it goes to the file; shapes must be within the graph."""


@dataclass(frozen=True)
class Packed:
    """Weights that were arranged."""

    graph: Path
    """The graph to open instead of the model folder's."""
    key: str
    """Sessions of one key share their weights."""


def packed_key(card: Card, slots: int, proc: Path = PROC) -> str:
    """What the arrangement depends on: the model and its graph, onnxruntime, and all that is known of the processor."""
    parts = (card.digest, card.graphs[slots], onnxruntime.__version__, platform.machine(), _processor(proc))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _processor(proc: Path) -> str:
    """Its name and its instructions; the clock and the like change by the minute."""
    names = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "CPU part", "Features")
    found: dict[str, str] = {}
    for line in (proc / "cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            found.setdefault(name.strip(), value.strip())
    return "\n".join(f"{name}={value}" for name, value in sorted(found.items()))


def is_packed(store: Path, key: str) -> bool:
    """Whether it is there, whole as far as sizes tell."""
    return _told(store / key) is not None


def packed(store: Path, folder: Path, card: Card, slots: int) -> Packed | None:
    """The arranged weights of a model folder that was verified, made now where they are not there or damaged; None
    where they cannot be made."""
    key = packed_key(card, slots)
    place = store / key
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(store):
            if not _is_whole(place):
                if place.exists():
                    LOG.warning("%s: the packed weights in %s are damaged; they are made again", card.name, place)
                _make(folder / card.graphs[slots], place)
            os.utime(place)
            _forget_old(store, spared=key)
    # onnxruntime's errors have no common class; a graph that it does not take is told of by whoever opens it plainly.
    except Exception as error:
        LOG.warning("%s: no packed weights in %s (%s); each session has its own", card.name, store, error)
        return None
    return Packed(place / _GRAPH, key)


@contextlib.contextmanager
def _alone(store: Path) -> Iterator[None]:
    """One process at a time looks and makes."""
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _told(place: Path) -> dict[str, Any] | None:
    try:
        files: dict[str, Any] = json.loads((place / _TOLD).read_text(encoding="utf-8"))
        whole = all((place / name).stat().st_size == said["bytes"] for name, said in files.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return files if whole and _GRAPH in files else None


def _is_whole(place: Path) -> bool:
    files = _told(place)
    return files is not None and all(file_digest(place / name) == said["sha256"] for name, said in files.items())


def _make(graph: Path, place: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # It warns that the result is for this machine only, which is what is wanted.
        options.log_severity_level = 3
        options.optimized_model_filepath = str(unfinished / _GRAPH)
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_min_size_in_bytes", str(_SMALLEST)
        )
        options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
        onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        told = describe_files(unfinished, [path.name for path in unfinished.iterdir()])
        for name in told:
            with (unfinished / name).open("rb") as file:
                os.fsync(file.fileno())
        (unfinished / _TOLD).write_text(json.dumps(told), encoding="utf-8")
        if place.exists():
            # Who has mapped the damaged one keeps it until he lets go.
            shutil.rmtree(place)
        unfinished.rename(place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _forget_old(store: Path, *, spared: str) -> None:
    """Also what a process left that was killed while it made something."""
    places = [path for path in store.iterdir() if path.is_dir()]
    for path in places:
        if path.name.startswith(".making-"):
            shutil.rmtree(path, ignore_errors=True)
    whole = sorted((path for path in places if len(path.name) == len(spared)), key=lambda path: -path.stat().st_mtime)
    for path in whole[KEPT:]:
        if path.name != spared:
            shutil.rmtree(path, ignore_errors=True)
