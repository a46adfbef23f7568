# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that keeps its arguments out of the node's journal.

Ansible logs every module's arguments on the node. It masks what is marked as secret, but only as it was given: inside a
list its text is escaped, no longer equal, and is written out. What such a module was given is thus not logged at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):  # type: ignore[misc]  # ansible-core ships no types
    """`about` tells from the arguments what may be logged and returned as the invocation."""

    def __init__(self, *args: Any, about: Callable[[dict[str, Any]], dict[str, Any]], **kwargs: Any) -> None:
        self._about = about
        super().__init__(*args, **kwargs)

    def _log_invocation(self) -> None:
        told = self._about(self.params)
        self.log(" ".join(["Invoked with", *(f"{name}={value}" for name, value in told.items())]))

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        try:
            told = self._about(self.params)
        except (TypeError, KeyError, AttributeError):
            # The arguments were refused, so nothing is known about their form.
            told = {}
        super()._return_formatted({**kwargs, "invocation": {"module_args": told}})
