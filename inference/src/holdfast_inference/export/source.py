# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What an export starts from: a Hugging Face folder, or a GGUF file with a tokenizer beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from . import Unknown
from .families import Geometry, read_geometry
from .gguf_file import GgufTensors, check_tokenizer, read_gguf_geometry
from .quantize import Floats, Quantized
from .safetensors import Tensors


class SourceTensors(Protocol):
    """Tensors under the names that Hugging Face gives them."""

    def __contains__(self, name: str) -> bool: ...

    def get(self, name: str) -> Floats:
        """As float32."""

    def blocks(self, name: str) -> Quantized | None:
        """In blocks of whole numbers, where the source has it so in a way that can be kept without loss."""

    def rounded_already(self, name: str) -> bool:
        """Whether its numbers were rounded in a way that cannot be kept, and should not be rounded to 4 bits
        once more."""

    def ignore(self, name: str) -> None: ...

    def left(self) -> list[str]:
        """The names that nobody asked for."""


@dataclass(frozen=True)
class Source:
    geometry: Geometry
    tensors: SourceTensors
    tokenizer: Path
    """The folder with the tokenizer's files."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What was changed in it since it was opened, for the report."""


def open_source(path: Path, *, tokenizer: Path | None = None, context: int | None = None) -> Source:
    """Reads the headers; the tensors come one by one."""
    is_file = path.is_file()
    folder = tokenizer or (path.parent if is_file else path)
    if is_file and path.suffix != ".gguf":
        raise Unknown(f"{path} is neither a folder nor a *.gguf file.")
    geometry = read_gguf_geometry(path, context=context) if is_file else read_geometry(path, context=context)
    if not (folder / "tokenizer.json").is_file():
        hint = " A GGUF file's own tokenizer is not read; name the original's folder." if is_file else ""
        raise Unknown(f"{folder} has no tokenizer.json; other forms of tokenizers are not known here.{hint}")
    if not is_file:
        tensors = Tensors(path)
        if geometry.embeds:
            tensors.put_below("model.")
        return Source(geometry, tensors, folder)
    check_tokenizer(path, folder)
    return Source(geometry, GgufTensors(path, geometry), folder)
