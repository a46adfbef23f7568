# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The file that holds every tensor of a model, and the references that a graph makes to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from ..model_folder import WEIGHTS

_PAGE = 4096


@dataclass(frozen=True)
class Stored:
    """A tensor in the file, under the name that it has in the graph."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    offset: int
    length: int

    def seen_as(self, name: str, *shape: int) -> Stored:
        """The same bytes under another name and shape."""
        return replace(self, name=name, shape=shape)

    def initializer(self) -> onnx.TensorProto:
        tensor = onnx.TensorProto(name=self.name, data_type=self.dtype, dims=self.shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", str(self.offset)), ("length", str(self.length))):
            tensor.external_data.add(key=key, value=value)
        return tensor


class WeightFile:
    """Written from front to back, one tensor at a time, each at the beginning of a page so that it can be mapped."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / WEIGHTS).open("wb")

    def add(self, name: str, values: NDArray[Any]) -> Stored:
        self._file.write(b"\0" * (-self._file.tell() % _PAGE))
        offset = self._file.tell()
        whole = np.ascontiguousarray(values)
        self._file.write(whole.view(np.uint8).data if whole.ndim else whole.tobytes())
        dtype = onnx.helper.np_dtype_to_tensor_dtype(whole.dtype)
        return Stored(name, dtype, whole.shape, offset, whole.nbytes)

    def flush(self) -> None:
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
