# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A quiet module logs and returns of its arguments only what it was told to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.holdfast.edge.plugins.module_utils._quiet import QuietModule

SECRET = "line one\nline 'two'"
SPEC = {
    "files": {
        "type": "list",
        "elements": "dict",
        "options": {"path": {"type": "str"}, "secret_content": {"type": "raw", "no_log": True}},
    }
}


class Logged(QuietModule):
    """Keeps what would go to the node's journal."""

    lines: list[str]

    def log(self, msg: str, log_args: Any = None) -> None:
        self.lines = [*getattr(self, "lines", []), f"{msg} {log_args or ''}"]


def module(capsys: pytest.CaptureFixture[str], **arguments: Any) -> tuple[Logged, dict[str, Any]]:
    with patch_module_args(arguments):
        made = Logged(argument_spec=SPEC, about=lambda params: {"files": [file["path"] for file in params["files"]]})
        with pytest.raises(SystemExit):
            made.exit_json(changed=False)
    return made, json.loads(capsys.readouterr().out)


def test_only_the_paths_are_logged_and_returned(capsys: pytest.CaptureFixture[str]) -> None:
    made, result = module(capsys, files=[{"path": "/etc/x", "secret_content": SECRET}])
    assert made.lines == ["Invoked with files=['/etc/x'] "]
    assert result["invocation"] == {"module_args": {"files": ["/etc/x"]}}


def test_arguments_that_are_refused_are_not_returned_either(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"files": [{"path": "/etc/x", "secret_contents": SECRET}]}), pytest.raises(SystemExit):
        Logged(argument_spec=SPEC, about=lambda params: {"files": [file["path"] for file in params["files"]]})
    assert "line one" not in capsys.readouterr().out.replace("secret_contents", "")
