#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one folder with everything that a site needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Make one folder with every binary, image and chart that a site needs
version_added: 0.1.0
author:
  - The Holdfast authors (@holdfast)
description:
  - Brings a folder to hold exactly the wished artifacts, each verified, with a C(bundle.json) that describes them.
  - An artifact comes from the upstream's own file, which must have the pinned digest, or is built from a package
    registry,
    which is pinned too. Downloads run side by side, builds one after the other beside them.
  - What was fetched or built is kept by its digest below O(cache_path) and verified each time that it is used.
  - The folder is replaced in one step when all is ready. An interrupted run leaves the old folder whole, and the
    next run
    goes on where it stopped.
extends_documentation_fragment:
  - holdfast.edge.bundle
  - holdfast.edge.bundle.sources
  - holdfast.edge.bundle.progress
attributes:
  check_mode:
    support: full
    details: What is missing and how large it is stands in RV(missing). Sizes are asked of the servers, nothing is
      fetched.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The folder. It is made if it is not there, and refused if it holds something else than a bundle.
      - Files in it that are not part of the bundle are removed.
    type: path
    required: true
  files_path:
    description:
      - The folder that holds C(build/) with the recipes and C(charts/) with the charts.
    type: path
    required: true
  more_catalogues:
    description:
      - Further catalogues. An entry with the same name and version as one of an earlier catalogue takes its place.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - The catalogue's file. Its folders C(build/) and C(charts/) lie beside it.
        type: path
        required: true
      artifacts:
        description:
          - What it holds, which is its list C(bundle_artifacts).
        type: list
        elements: dict
        required: true
  cache_path:
    description:
      - Where downloads, builds and the caches of Go are kept between runs.
    type: path
    required: true
  way:
    description:
      - How to get an artifact that can be had both ways. One that has only one way comes that way, and the result
        says so.
    type: str
    choices:
      release: The upstream's own file with its pinned digest.
      build: Built here from a package registry.
    default: release
  architectures:
    description:
      - For which processors.
    type: list
    elements: str
    choices: [amd64, arm64]
    default: [amd64]
  groups:
    description:
      - Which artifacts.
    type: list
    elements: str
    choices:
      site: What a site runs.
      test: What only the tests need.
    default: [site]
  without:
    description:
      - Names of artifacts to leave out.
    type: list
    elements: str
    default: []
  go:
    description:
      - The go command for the builds.
    type: str
    default: go
  lock_wait:
    description:
      - Seconds to wait for another run that uses the same cache or the same folder, before giving up.
    type: int
    default: 600
seealso:
  - module: holdfast.edge.bundle_info
  - module: holdfast.edge.bundle_archive
  - module: holdfast.edge.bundle_lock
"""

EXAMPLES = r"""
- name: Make the bundle of a site from the upstreams' own files
  holdfast.edge.bundle:
    artifacts: "{{ (lookup('ansible.builtin.file', 'bundle/artifacts.yml') | from_yaml).bundle_artifacts }}"
    path: /srv/holdfast/bundle
    files_path: bundle
    cache_path: ~/.cache/holdfast
    architectures: [amd64, arm64]

- name: Add what a site has of its own
  holdfast.edge.bundle:
    artifacts: "{{ (lookup('ansible.builtin.file', 'bundle/artifacts.yml') | from_yaml).bundle_artifacts }}"
    path: /srv/holdfast/bundle
    files_path: bundle
    more_catalogues:
      - path: /srv/ours/artifacts.yml
        artifacts: "{{ (lookup('ansible.builtin.file', '/srv/ours/artifacts.yml') | from_yaml).bundle_artifacts }}"
    cache_path: ~/.cache/holdfast
"""

RETURN = r"""
path:
  description: The folder.
  type: str
  returned: success
artifacts:
  description: Each artifact in the order of the catalogue.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    version:
      description: Its version.
      type: str
    kind:
      description: What it is, one of V(binaries), V(image), V(archive) or V(chart).
      type: str
    arch:
      description: For which processor; V(all) where that does not matter.
      type: str
    way:
      description: The way that was used, V(release) or V(build).
      type: str
    note:
      description: Why another way than O(way) was used, or nothing.
      type: str
    size:
      description: Bytes of all its files; none in check mode where that is not known.
      type: int
    changed:
      description: Whether it was missing or not what it should be.
      type: bool
    files:
      description: The path below the folder, the size and the SHA-256 of each file.
      type: list
      elements: dict
missing:
  description: What is not there yet, with its size as far as it is known, and a V(summary) in words.
  type: list
  elements: dict
  returned: check mode
size:
  description: Bytes of all files.
  type: int
  returned: success
notes:
  description: A line for each artifact that came another way than O(way).
  type: list
  elements: str
  returned: success
summary:
  description: What there is, or in check mode what is missing, in one line.
  type: str
  returned: success
  sample: 14 artifacts in 31 files, 640.2 MiB; 3 by release, 11 by build
"""

import threading
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import module_glue as glue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.make import check_bundle, make_bundle
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import total_size
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.plan import Wish
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.store import Store
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.workshop import Workshop


def main() -> None:
    """Make the bundle, or in check mode say what is missing."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files_path": {"type": "path", "required": True},
            "more_catalogues": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "artifacts": {"type": "list", "elements": "dict", "required": True},
                },
            },
            "cache_path": {"type": "path", "required": True},
            "way": {"type": "str", "choices": ["release", "build"], "default": "release"},
            "architectures": {
                "type": "list",
                "elements": "str",
                "choices": ["amd64", "arm64"],
                "default": ["amd64"],
            },
            "groups": {"type": "list", "elements": "str", "choices": ["site", "test"], "default": ["site"]},
            "without": {"type": "list", "elements": "str", "default": []},
            "go": {"type": "str", "default": "go"},
            "lock_wait": {"type": "int", "default": 600},
            **glue.SOURCE_OPTIONS,
            **glue.PROGRESS_OPTIONS,
        },
        supports_check_mode=True,
    )
    params = module.params
    cancel = threading.Event()
    with glue.plain_failures(module, cancel):
        progress = glue.progress_of(params)
        cache = Path(params["cache_path"]).absolute()
        workshop = Workshop(
            cache=cache,
            store=Store(cache, progress),
            progress=progress,
            cancel=cancel,
            mirror=glue.mirror_of(params),
            patience=glue.patience_of(params),
            go=params["go"],
        )
        wish = Wish(params["way"], tuple(params["architectures"]), tuple(params["groups"]), tuple(params["without"]))
        artifacts = glue.catalogues_of(params)
        path = Path(params["path"]).absolute()
        if module.check_mode:
            outcome = check_bundle(path, artifacts, wish, workshop)
        else:
            outcome = make_bundle(path, artifacts, wish, workshop, params["lock_wait"])
    for warning in outcome.warnings:
        module.warn(warning)
    result = {
        "changed": outcome.changed,
        "path": str(path),
        "artifacts": outcome.artifacts,
        "missing": outcome.missing,
        "size": total_size(outcome.entries),
        "summary": outcome.summary,
        "notes": outcome.notes,
    }
    if module._diff:
        result["diff"] = {
            "before_header": f"{path} (before)",
            "after_header": f"{path} (after)",
            "before": outcome.before,
            "after": outcome.after,
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
