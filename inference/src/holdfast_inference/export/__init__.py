# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""From a Hugging Face folder to a model folder that the engine serves, with numpy and onnx only, tensor by tensor."""

from __future__ import annotations


class Unknown(Exception):  # noqa: N818 - what we do not know is refused by name, before anything is written
    """Something in the source that this export does not know how to carry over."""
