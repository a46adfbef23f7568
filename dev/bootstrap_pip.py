# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a bare virtual environment the pip that it is asked for, from what Python carries and the package registry.

ansible-test would fetch a script for this from a web site of its own; it takes this one instead where it lies in
its cache.
"""

from __future__ import annotations

import subprocess
import sys

if __name__ == "__main__":
    # A process of its own, since ensurepip switches pip's settings off for the one that it runs in.
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
    wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *wanted], check=False).returncode)
