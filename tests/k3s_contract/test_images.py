# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 5: images from archives, and registries."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import Cluster
from .lines import contract
from .site import Site
from .units import BINARY
from .workloads import image_reference

AGENT = "/var/lib/rancher/k3s/agent"


@contract("5", "S")
def test_every_archive_is_imported_and_logged(main: Cluster, site: Site) -> None:
    name = image_reference(site.inputs.test_image)
    for node in (*main.servers, *main.agents):
        journal = node.whole_journal()
        assert re.search(rf"Importing images from {AGENT}/images/contract-", journal), node.name
        assert re.search(rf"Imported .*{re.escape(name.partition(':')[0])}", journal), node.name


@contract("5", "S")
def test_images_are_there_before_the_kubelet_starts(main: Cluster) -> None:
    journal = main.agents[0].whole_journal()
    kubelet = journal.index("Running kubelet ")
    assert journal.index("Importing images from ") < journal.index("Imported ") < kubelet


@contract("5", "S", unconfirmed=True)
def test_a_bad_archive_does_not_stop_the_others(main: Cluster) -> None:
    agent = main.agents[0]
    assert agent.is_active()
    assert "broken.tar" in agent.whole_journal()


@contract("5", "S")
def test_imported_images_are_pinned(main: Cluster, site: Site) -> None:
    name = image_reference(site.inputs.test_image)
    listed = main.agents[0].run(f"{BINARY} ctr images ls")
    rows = [line for line in listed.splitlines() if line.startswith(name)]
    assert rows and all("io.cri-containerd.pinned=pinned" in row for row in rows), rows


@contract("5", "S")
def test_an_imported_image_is_known_by_its_digest_too(main: Cluster, site: Site) -> None:
    repository = image_reference(site.inputs.test_image).rpartition(":")[0]
    assert re.search(rf"^{re.escape(repository)}@sha256:[0-9a-f]{{64}}$", ctr_images(main), re.MULTILINE)


def ctr_images(main: Cluster) -> str:
    """Return the names of all images, as the binary's own ctr lists them without being told where."""
    return main.agents[0].run(f"{BINARY} ctr images ls -q")


@contract("1", "S", unconfirmed=True)
def test_ctr_needs_not_be_told_socket_and_namespace(main: Cluster, site: Site) -> None:
    assert image_reference(site.inputs.test_image) in ctr_images(main)


@contract("1", "S")
@pytest.mark.parametrize("arguments", ["ps", "images", "info", "pods", "version"])
def test_crictl_needs_not_be_told_where_the_runtime_is(main: Cluster, arguments: str) -> None:
    assert main.agents[0].run(f"{BINARY} crictl {arguments}").strip()


@contract("5", "D")
def test_an_image_that_no_archive_has_cannot_be_pulled(main: Cluster) -> None:
    done = main.agents[0].attempt(f"timeout 60 {BINARY} crictl pull registry.contract.test/absent:1 2>&1")
    assert done.returncode not in (0, 124), done


@contract("5", "D")
def test_registries_become_hosts_files_of_containerd(main: Cluster) -> None:
    agent = main.agents[0]
    text = agent.run(f"cat {AGENT}/etc/containerd/certs.d/registry.contract.test/hosts.toml")
    first, second = text.find("http://127.0.0.1:5999"), text.find("https://mirror.contract.test")
    assert 0 < first < second, text
    assert re.search(r"skip_verify\s*=\s*true", text), text
    assert "https://127.0.0.1:5998" in agent.run(f"cat {AGENT}/etc/containerd/certs.d/_default/hosts.toml")


@contract("4", "D, I")
def test_containerd_is_configured_in_version_3(main: Cluster) -> None:
    assert re.search(r"^version = 3$", main.agents[0].run(f"cat {AGENT}/etc/containerd/config.toml"), re.MULTILINE)


@contract("4", "D, I")
@contract("5", "D")
def test_a_template_and_an_import_cache_count_at_the_next_start(main: Cluster, site: Site) -> None:
    agent = main.agents[0]
    template = '{{ template "base" . }}\n\n# contract-template\n'
    agent.remote.place(
        {f"{AGENT}/etc/containerd/config-v3.toml.tmpl": template.encode(), f"{AGENT}/images/.cache.json": b""}
    )
    agent.restart_and_wait()
    rendered = agent.run(f"cat {AGENT}/etc/containerd/config.toml")
    assert "# contract-template" in rendered and "io.containerd" in rendered
    assert json.loads(agent.run(f"cat {AGENT}/images/.cache.json"))
    place = agent.mark()
    agent.restart_and_wait()
    wait_until("the node is there again", lambda: "Running kubelet" in agent.journal(place), 30)
    name = re.escape(image_reference(site.inputs.test_image).partition(":")[0])
    assert not re.search(rf"Imported .*{name}", agent.journal(place)), "imported again although nothing had changed"
    agent.run(f"rm {AGENT}/etc/containerd/config-v3.toml.tmpl {AGENT}/images/.cache.json")
