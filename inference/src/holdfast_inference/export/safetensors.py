# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Reads safetensors files, one tensor at a time: each costs memory only while it is in use."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from . import Unknown
from .quantize import Floats, Quantized

_DTYPES = {"F32": np.dtype(np.float32), "F16": np.dtype(np.float16), "BF16": np.dtype(ml_dtypes.bfloat16)}
_LONGEST_HEADER = 100 * 1024 * 1024


@dataclass(frozen=True)
class _Place:
    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Tensors:
    """All tensors of a folder by name, from one file or several. Remembers what was asked for, so that nothing is left
    behind unnoticed."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, _Place] = {}
        self._taken: set[str] = set()
        paths = sorted(folder.glob("*.safetensors"))
        if not paths:
            raise Unknown(f"{folder} has no *.safetensors file; pickled weights (*.bin) are not read, for safety.")
        for path in paths:
            self._read_header(path)

    def _read_header(self, path: Path) -> None:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
                raise Unknown(f"{path} is no safetensors file: its header would be {length} bytes long.")
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = (8 + length + int(offset) for offset in entry["data_offsets"])
            if end > size:
                raise Unknown(f"{path} is cut: {name} would end at byte {end} of {size}.")
            self._places[name] = _Place(path, entry["dtype"], tuple(entry["shape"]), begin, end)

    def put_below(self, prefix: str) -> None:
        """Knows all tensors by a longer name, where none has it yet: a network without a head is often kept so."""
        if not any(name.startswith(prefix) for name in self._places):
            self._places = {prefix + name: place for name, place in self._places.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def get(self, name: str) -> Floats:
        """A tensor as float32."""
        place = self._places.get(name)
        if place is None:
            raise Unknown(f"The weights have no tensor {name}, which this family needs.")
        if place.dtype not in _DTYPES:
            raise Unknown(f"{name} is of type {place.dtype}; F32, F16 and BF16 are known here.")
        self._taken.add(name)
        count = (place.end - place.begin) // _DTYPES[place.dtype].itemsize
        raw = np.fromfile(place.path, _DTYPES[place.dtype], count, offset=place.begin)
        if raw.size != math.prod(place.shape):
            raise Unknown(f"{name} has {raw.size} numbers where its shape {list(place.shape)} asks for another count.")
        return raw.reshape(place.shape).astype(np.float32, copy=False)

    def blocks(self, name: str) -> Quantized | None:
        return None

    def rounded_already(self, name: str) -> bool:
        return False

    def ignore(self, name: str) -> None:
        self._taken.add(name)

    def left(self) -> list[str]:
        """The names that nobody asked for."""
        return sorted(set(self._places) - self._taken)
