# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle's API server and datastore on loopback, without a node: it judges manifests as a cluster would."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from ssl import CERT_NONE, create_default_context

from tests.inference.gateway.real_nodes import free_port

START_SECONDS = 300


@dataclass(frozen=True)
class LocalApi:
    """Where it is, and the file by which kubectl finds it."""

    kubernetes: Path
    kubeconfig: Path

    def kubectl(self, *arguments: str, given: str = "", fails: bool = False) -> str:
        """What kubectl says; both outputs."""
        command = [str(self.kubernetes), "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
        told = ended.stdout + ended.stderr
        assert (ended.returncode != 0) == fails, told
        return told


@contextlib.contextmanager
def local_api(etcd: Path, kubernetes: Path, folder: Path) -> Iterator[LocalApi]:
    """Start both, and end both."""
    client, peer, port, token = free_port(), free_port(), free_port(), secrets.token_hex(16)
    (folder / "tokens").write_text(f"{token},admin,admin,system:masters\n", encoding="utf-8")
    key = folder / "account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    store = f"http://127.0.0.1:{client}"
    commands = (
        [
            *(str(etcd), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync", "--name=one"),
            *(f"--listen-client-urls={store}", f"--advertise-client-urls={store}"),
            *(f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            f"--initial-cluster=one=http://127.0.0.1:{peer}",
        ],
        [
            *(str(kubernetes), "kube-apiserver", f"--etcd-servers={store}", f"--secure-port={port}"),
            *(
                "--bind-address=127.0.0.1",
                f"--cert-dir={folder}/certificates",
                "--service-cluster-ip-range=10.0.0.0/24",
            ),
            *(f"--token-auth-file={folder}/tokens", "--authorization-mode=RBAC", "--anonymous-auth=false"),
            *("--service-account-issuer=https://local", f"--service-account-key-file={key}"),
            f"--service-account-signing-key-file={key}",
        ],
    )
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: one\n"
        f"clusters: [{{name: one, cluster: {{server: 'https://127.0.0.1:{port}', insecure-skip-tls-verify: true}}}}]\n"
        f"users: [{{name: one, user: {{token: {token}}}}}]\n"
        "contexts: [{name: one, context: {cluster: one, user: one}}]\n",
        encoding="utf-8",
    )
    with contextlib.ExitStack() as running:
        for command in commands:
            log = running.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={"PATH": os.defpath})
            running.callback(process.wait)
            running.callback(process.kill)
        _wait_ready(port, token, folder)
        yield LocalApi(kubernetes, kubeconfig)


def _wait_ready(port: int, token: str, folder: Path) -> None:
    context = create_default_context()
    context.check_hostname, context.verify_mode = False, CERT_NONE
    asked = urllib.request.Request(f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {token}"})
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, context=context, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError((folder / "kubernetes.log").read_text(encoding="utf-8")[-3000:])
