# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and attributes that the bundle's modules share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
notes:
  - The module runs on the controller, or on whichever machine shall hold the bundle.
requirements:
  - A POSIX system with Python 3.9 or later.
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying anything.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff
      mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation
      indicates no change.
  platform:
    description: Where the module can run.
    platforms: posix
    support: full
"""

    PROGRESS = r"""
options:
  progress_path:
    description:
      - A file to which the module appends a line for each step.
      - The action plugin of the same name sets it and shows the lines while they come. Leave it out.
    type: path
"""

    SOURCES = r"""
options:
  artifacts:
    description:
      - The catalogue, which is the list C(bundle_artifacts) of C(artifacts.yml).
      - Every entry is checked; the first mistake is named by its entry and field.
    type: list
    elements: dict
    required: true
  mirror:
    description:
      - Maps the beginning of an address to what shall be used in its place. The longest beginning wins.
      - For example, C(https://github.com/) may be mapped to C(https://mirror.example.org/github/).
      - What a mirror serves must have the pinned digest too.
    type: dict
    default: {}
  download_timeout:
    description:
      - Seconds without an answer or a byte before a connection is given up and tried again.
    type: int
    default: 60
  download_deadline:
    description:
      - Seconds that one file may take in all.
    type: int
    default: 3600
"""
