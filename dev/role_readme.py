# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes each role's README.md from its argument specs, so that the page cannot say anything else than the code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dev.paths import ROOT

HEADER = """<!--
SPDX-FileCopyrightText: 2026 The Holdfast authors
SPDX-License-Identifier: GPL-3.0-or-later
Written by `make docs` from meta/argument_specs.yml; change it there.
-->
"""


def roles() -> list[Path]:
    return sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


def plain(text: str | list[str]) -> str:
    """Text with Ansible's markup turned into Markdown's."""
    return re.sub(r"\b[OVCIEPM]\(([^)]*)\)", r"`\1`", " ".join(_paragraphs(text))).replace("\n", " ")


def _paragraphs(text: str | list[str]) -> list[str]:
    return text if isinstance(text, list) else [text]


def _row(*cells: str) -> str:
    """In a table a bar ends the cell, within backticks too."""
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _options(options: dict[str, Any]) -> Iterator[str]:
    yield "| variable | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, option in options.items():
        if option.get("required"):
            default = "required"
        elif "default" in option:
            default = f"`{option['default']}`" if option["default"] != "" else "empty"
        else:
            default = "none"
        kind = option.get("type", "str")
        choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        yield _row(f"`{name}`", kind, default, plain(option["description"]) + choices)


def page(role: Path) -> str:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    lines = [HEADER + f"# holdfast.edge.{role.name}"]
    for name, spec in specs.items():
        title = "" if name == "main" else f"\n## Entry point `{name}`\n"
        lines.append(f"{title}\n{spec['short_description']}.\n")
        lines += [plain(paragraph) + "\n" for paragraph in _paragraphs(spec.get("description", []))]
        if spec.get("options"):
            lines += _options(spec["options"])
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    for role in roles():
        (role / "README.md").write_text(page(role), encoding="utf-8")
        print(f"wrote {role.relative_to(ROOT)}/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
