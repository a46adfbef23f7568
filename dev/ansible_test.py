# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-test, which wants the collection at ansible_collections/holdfast/edge and in a git checkout.

A copy stands in for the checkout. It holds what an operator installs and the unit tests of that; the tools and hosts of
the development are judged by ruff and mypy alone. Helm's templates stay out: they are YAML only once they are rendered,
and `helm lint --strict` and a real install judge them.
"""

from __future__ import annotations

import ast
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dev import checkout
from dev.paths import CACHE, ROOT

# The name under which the locked ansible-core looks for pip's bootstrap script; it carries the pip that it wants.
BOOTSTRAP_NAME = "get_pip_24_2.py"

PARTS = (
    ".gitignore",
    "changelogs/",
    "galaxy.yml",
    "meta/",
    "playbooks/",
    "plugins/",
    "roles/",
    "tests/config.yml",
    "tests/unit/plugins/",
)
HELM_TEMPLATE = re.compile(r"^roles/[^/]+/files/charts/[^/]+/templates/")


def pip_settings() -> str:
    """The settings of this user's pip, files and environment together, as the text of one file.

    ansible-test hides the environment from the pip that it starts, and with it a mirror or a certificate of the place.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    settings = {}
    for line in listing.stdout.splitlines():
        key, value = line.split("=", 1)
        settings[key.rpartition(".")[2]] = ast.literal_eval(value)
    return "\n".join(["[global]", *(f"{key} = {value}" for key, value in settings.items())]) + "\n"


def make_home(home: Path) -> None:
    """A home for ansible-test: the user's pip settings, and our script in place of one that it would download."""
    scripts = home / ".ansible/test/cache"
    scripts.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / "dev/bootstrap_pip.py", scripts / BOOTSTRAP_NAME)
    settings = home / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(pip_settings(), encoding="utf-8")


def main() -> int:
    verb, *rest = sys.argv[1:]
    home = CACHE / "ansible-test"
    collection = home / "ansible_collections/holdfast/edge"
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # a second run at once waits, since the copy is one
    checkout.copy(collection, lambda name: name.startswith(PARTS) and not HELM_TEMPLATE.match(name))
    make_home(home)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["ansible-test", verb, "--venv", "--python", python, "--color", "no", *rest]
    # The copy has no ansible.cfg of its own to follow.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(command, cwd=collection, env={**environment, "HOME": str(home)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
