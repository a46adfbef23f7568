# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits a site: `python -m tests.audit.cis INVENTORY`.

Ends with 0 where nothing fails, 1 where a control fails or an exception is stale, 2 where something could not be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .audit import judge
from .catalogue import load_controls, load_exceptions
from .collect import collect
from .evidence import EvidenceError
from .report import summary, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.audit.cis", description="CIS audit of a k3s site")
    parser.add_argument("inventory", type=Path, help="the inventory of the site")
    parser.add_argument("--json", action="store_true", help="print the JSON object alone")
    arguments = parser.parse_args()
    controls = load_controls()
    try:
        evidence = collect(arguments.inventory, controls)
    except EvidenceError as error:
        print(error, file=sys.stderr)
        return 2
    audit = judge(controls, load_exceptions(), evidence)
    if not arguments.json:
        print(table(audit))
    print(summary(audit))
    return 0 if audit.passed else 1


if __name__ == "__main__":
    sys.exit(main())
