#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring files, folders and links of a node to what is wanted, all in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_files
short_description: Bring files, folders and links of a node to what is wanted
version_added: 0.1.0
description:
  - Takes a list of paths and brings all of them to what is wanted, in one round trip.
  - Every new content is written beside its path, synced and judged before the first path is replaced. When one is
    refused, none is written.
  - A file is replaced in one step and its folder synced, so a power cut leaves the old or the new one.
  - The arguments are not logged on the node.
author: The Holdfast authors (@holdfast)
options:
  files:
    description:
      - What is wanted. Paths are absolute and each is named once.
      - A folder that is not there must stand in the list before what is in it.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is.
        type: str
        required: true
      state:
        description:
          - V(file) is a file with O(files[].content) or O(files[].secret_content). A link of that name is replaced, not
            followed.
          - V(directory) is a folder; a link to a folder counts as one.
          - V(link) is a symbolic link to O(files[].src); a file of that name is replaced.
          - V(absent) takes away a file or a link, never a folder.
          - V(attributes) sets mode, owner and group of a file or folder, and leaves alone what is not there.
        type: str
        choices: [file, directory, link, absent, attributes]
        default: file
      content:
        description: The whole text of the file.
        type: raw
      secret_content:
        description: The whole text of a file that nobody may see in a difference or a log.
        type: raw
      src:
        description: Where the link leads, as it is written into the link.
        type: str
      mode:
        description:
          - The mode as octal digits in quotes.
          - A file without one gets V('0644'), with O(files[].secret_content) V('0600'), a new folder V('0755').
        type: str
      owner:
        description:
          - Name of the user to whom it belongs.
          - A file without one belongs to who runs this, a folder that is there keeps its own.
        type: str
      group:
        description: Name of the group, as with O(files[].owner).
        type: str
      validate:
        description:
          - A command as a list, in which C(%s) stands for the new content, waiting in a hidden file beside its path.
          - When it fails, nothing at all is written and its words are in the message.
          - What else it reads must be there already, so files that are judged together with others want two tasks.
          - It is not run in check mode, where those others may be missing.
        type: list
        elements: str
attributes:
  check_mode:
    description: Tells what would change, also where folders, users or programs are not there yet, and writes nothing.
    support: full
  diff_mode:
    description: Shows each text that differs and each mode and owner; of a secret only that it differs.
    support: full
  idempotent:
    description: Writes only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Configure a service
  holdfast.edge.node_files:
    files:
      - path: /etc/holdfast/demo
        state: directory
        mode: "0750"
      - path: /etc/holdfast/demo/demo.conf
        content: "{{ lookup('ansible.builtin.template', 'demo.conf.j2') }}"
        validate: [/usr/bin/demo, --check, "%s"]
      - path: /etc/holdfast/demo/token
        secret_content: "{{ demo_token }}"
      - path: /etc/holdfast/demo/old.conf
        state: absent
  register: result

- name: Say what was changed
  ansible.builtin.debug:
    msg: "{{ result.changed_paths | join(', ') }}"
"""

RETURN = r"""
changed_paths:
  description: The paths that were changed, or would be in check mode, in the order of O(files).
  returned: success
  type: list
  elements: str
  sample: [/etc/holdfast/demo/demo.conf]
"""

from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._found.ledger import remember
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.change import Change
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.errors import FilesError
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.look import differences, steps
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.wishes import read_wishes
from ansible_collections.holdfast.edge.plugins.module_utils._quiet import QuietModule


def main() -> None:
    module = QuietModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "state": {
                        "type": "str",
                        "choices": ["file", "directory", "link", "absent", "attributes"],
                        "default": "file",
                    },
                    "content": {"type": "raw"},
                    "secret_content": {"type": "raw", "no_log": True},
                    "src": {"type": "str"},
                    "mode": {"type": "str"},
                    "owner": {"type": "str"},
                    "group": {"type": "str"},
                    "validate": {"type": "list", "elements": "str"},
                },
            },
        },
        supports_check_mode=True,
        about=lambda params: {"files": [item["path"] for item in params["files"]]},
    )
    try:
        found = steps(read_wishes(module.params["files"]), check_mode=module.check_mode)
        if found and not module.check_mode:
            remember([step.path for step in found])
            Change(
                found, lambda command: module.run_command(command, handle_exceptions=False), label_with(module)
            ).run()
    except FilesError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"What is there could not be noted: {error}. Nothing was changed. Put that right, then run this again."
        )
    result = {"diff": list(differences(found))} if module._diff else {}
    module.exit_json(changed=bool(found), changed_paths=[str(step.path) for step in found], **result)


def label_with(module: AnsibleModule) -> Callable[[str, str], None]:
    """Give a file the security label of the path it will have; nothing where SELinux is off."""

    def label(temporary: str, final: str) -> None:
        if module.selinux_enabled():
            module.set_context_if_different(temporary, module.selinux_default_context(final), False)

    return label


if __name__ == "__main__":
    main()
