# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at one node and prints what it saw as JSON. Runs on the node, with its Python alone; changes nothing there.

Secrets stay where they are: of k3s' configuration no token, of the encryption configuration only the providers' names.
"""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import re
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

K3S = "/var/lib/rancher/k3s"
TLS = K3S + "/server/tls"
API = "https://127.0.0.1:6443"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
OF_AN_AGENT = ("kubelet", "kube-proxy")
KINDS = {
    "namespaces": "/api/v1/namespaces",
    "serviceaccounts": "/api/v1/serviceaccounts",
    "pods": "/api/v1/pods",
    "services": "/api/v1/services",
    "networkpolicies": "/apis/networking.k8s.io/v1/networkpolicies",
    "roles": "/apis/rbac.authorization.k8s.io/v1/roles",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
SECRET = re.compile(r"^(\s*-?\s*[\"']?[\w-]*(token|password|secret)[\w-]*[\"']?\s*:).*$", re.IGNORECASE | re.MULTILINE)


def name_of(number: int, find: Any) -> str:
    try:
        return str(find(number)[0])
    except KeyError:
        return str(number)


def look(path: str, follow: bool = False) -> dict[str, Any] | None:
    """Mode and owner; of a link its own, as `stat` prints them for an auditor, unless it is to be followed."""
    try:
        seen = Path(path).stat() if follow else Path(path).lstat()
    except OSError:
        return None
    return {
        "path": path,
        "mode": seen.st_mode & 0o7777,
        "owner": name_of(seen.st_uid, pwd.getpwuid),
        "group": name_of(seen.st_gid, grp.getgrgid),
    }


def text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def paths_like(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)


def files(patterns: list[str]) -> dict[str, list[dict[str, Any]]]:
    """A pattern that ends in a slash asks for the folder; any other for files."""
    found = {}
    for pattern in patterns:
        folder = pattern.endswith("/")
        seen = [look(path) for path in paths_like(pattern.rstrip("/")) if Path(path).is_dir() == folder]
        found[pattern] = [file for file in seen if file]
    return found


def lines(wanted: tuple[str, ...]) -> dict[str, str]:
    """The newest "Running COMPONENT …" of each, as an auditor greps them; reading ends when all are found."""
    command = ["journalctl", "-m", "-u", "k3s", "-u", "k3s-agent", "-o", "cat", "--no-pager", "-r"]
    found: dict[str, str] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as journal:
        assert journal.stdout is not None
        for raw in journal.stdout:
            match = re.search(rb"Running (kube-[a-z-]+|kubelet) --", raw)
            if match:
                found.setdefault(match.group(1).decode(), raw.decode("utf-8", "replace").strip())
                if all(name in found for name in wanted):
                    break
        journal.kill()
    return found


def etcd() -> dict[str, Any] | None:
    """The etcd of this host, not one in a pod: it sees the same processes as we do."""
    here = Path("/proc/self/ns/pid").readlink()
    for folder in paths_like("/proc/[0-9]*"):
        try:
            if (text(folder + "/comm") or "").strip() == "etcd" and Path(folder, "ns/pid").readlink() == here:
                return started(parts(folder + "/cmdline"), parts(folder + "/environ"))
        except OSError:
            continue
    return None


def parts(path: str) -> list[str]:
    return [part for part in (text(path) or "").split("\0") if part]


def started(arguments: list[str], variables: list[str]) -> dict[str, Any]:
    """How that etcd was started, and every file that its settings name."""
    environment = dict(part.partition("=")[::2] for part in variables if part.startswith("ETCD_"))
    match = re.search(r"--?config-file[= \0]([^\0]+)", "\0".join(arguments))
    path = match.group(1) if match else environment.get("ETCD_CONFIG_FILE", "")
    config = (text(path) or "") if path else ""
    told = "\n".join([*arguments, *environment.values(), config])
    named = {name.rstrip(".,:") for name in re.findall(r"(?<![\w:/])/[\w./-]+", told)}
    seen = {name: look(name, follow=True) for name in sorted(named)}
    return {
        "arguments": arguments,
        "environment": environment,
        "config": config,
        "config_path": path,
        "files": {name: file for name, file in seen.items() if file},
    }


def certificates(path: str) -> str:
    """The certificates of a file, and nothing else that may stand in it."""
    return "\n".join(CERTIFICATE.findall(text(path) or ""))


def encryption(line: str) -> list[str] | None:
    """The providers of secrets, first the one that writes; None where nothing is encrypted."""
    match = re.search(r"--encryption-provider-config=([^\s\"\\]+)", line)
    content = text(match.group(1)) if match else None
    if not content:
        return None
    try:
        entries = [entry for entry in json.loads(content)["resources"] if "secrets" in entry["resources"]]
        return [name for entry in entries for provider in entry["providers"] for name in provider]
    except (ValueError, KeyError, TypeError):
        return []


def texts(line: str) -> dict[str, str]:
    """The configuration that is text: k3s' own, the kubelet's, and the two policies that the API server was given."""
    named = re.findall(r"--(?:admission-control-config-file|audit-policy-file)=([^\s\"\\]+)", line)
    own = ("/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/config.yaml.d/*.y*ml")
    paths = [path for pattern in (*own, K3S + "/agent/etc/kubelet.conf.d/**/*") for path in paths_like(pattern)]
    found = {path: text(path) for path in paths + named if Path(path).is_file()}
    return {path: SECRET.sub(r"\1 (not shown)", content) for path, content in found.items() if content is not None}


def api() -> dict[str, Any]:
    """The objects, and each kubelet's configuration, from this server's own API as its administrator."""
    answer: dict[str, Any] = {"objects": {}, "kubelets": {}, "problem": ""}

    def get(path: str) -> Any:
        with urllib.request.urlopen(API + path, context=context, timeout=20) as response:
            return json.load(response)

    try:
        context = ssl.create_default_context(cafile=TLS + "/server-ca.crt")
        context.load_cert_chain(TLS + "/client-admin.crt", TLS + "/client-admin.key")
        for kind, path in KINDS.items():
            answer["objects"][kind] = get(path)["items"]
        names = [node["metadata"]["name"] for node in get("/api/v1/nodes")["items"]]
    except (OSError, ValueError, KeyError) as error:
        return {"objects": {}, "kubelets": {}, "problem": str(error)}
    for item in (item for items in answer["objects"].values() for item in items):
        item["metadata"].pop("managedFields", None)
    for name in names:
        try:
            answer["kubelets"][name] = get("/api/v1/nodes/" + name + "/proxy/configz")["kubeletconfig"]
        except (OSError, ValueError, KeyError):
            continue
    return answer


def main() -> None:
    if os.geteuid() != 0:
        sys.exit(
            "only root can see what is asked: set ansible_become for this host, as playbooks/site.yml needs it too"
        )
    asked = json.loads(sys.argv[1])
    server = asked["server"] or Path(TLS, "server-ca.crt").exists()
    said = lines(COMPONENTS if server else OF_AN_AGENT)
    apiserver = said.get("kube-apiserver", "")
    running = etcd()
    named = running["files"] if running else ()
    authorities = [TLS + "/server-ca.crt", TLS + "/client-ca.crt", TLS + "/request-header-ca.crt"]
    report = {
        "server": server,
        "member": asked["member"] or running is not None,
        "lines": said,
        "files": files(asked["files"]),
        "texts": texts(apiserver),
        "etcd": running,
        "encryption": encryption(apiserver),
        "authorities": {path: certificates(path) for path in (*authorities, *named) if path.endswith((".crt", ".pem"))},
        "api": api() if server else {"objects": {}, "kubelets": {}, "problem": ""},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
