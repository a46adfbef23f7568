# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._k3s import (
    api,
    certificates,
    datastore,
    images,
    journal,
    membership,
    paths,
    unit,
    wait,
)
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.commands import Ended, run
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.timezone.utc)


def certificate(begin: datetime.datetime, end: datetime.datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("years", [1, 40])
def test_the_end_of_a_certificate_is_read_in_both_forms_of_time(tmp_path: Path, years: int) -> None:
    path = tmp_path / "client-admin.crt"
    path.write_bytes(b"text before\n" + certificate(NOW - 10 * DAY, NOW + years * 365 * DAY))
    found = certificates.read(path, NOW.timestamp())
    assert found is not None
    assert (found.days_left, found.authority) == (years * 365, False)
    assert 0.9 < found.share_left < 1


def test_certificates_are_sorted_by_what_is_left_of_them(tmp_path: Path) -> None:
    (tmp_path / "server-ca.crt").write_bytes(certificate(NOW, NOW + 20 * DAY))
    (tmp_path / "a.crt").write_bytes(certificate(NOW, NOW + 10 * DAY))
    (tmp_path / "broken.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    found = certificates.below((tmp_path,), NOW.timestamp())
    assert [(Path(one.path).name, one.days_left, one.authority) for one in found] == [
        ("a.crt", 10, False),
        ("server-ca.crt", 20, True),
    ]


def test_the_unit_is_read_from_systemd() -> None:
    said = (
        "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nMainPID=0\n"
        f"UnitFileState=enabled\nNRestarts=4\nExecMainStartTimestampMonotonic={(time.monotonic() - 60) * 1e6:.0f}\n"
    )
    found = unit.look("k3s.service", lambda _command: Ended(0, said))
    assert (found.exists, found.runs, found.enabled, found.restarts) == (True, False, True, 4)
    assert found.started_at == pytest.approx(time.time() - 60, abs=1)
    assert unit.look("k3s.service", lambda _command: Ended(0, "ExecMainStartTimestampMonotonic=0")).started_at == 0.0
    assert not unit.look("k3s.service", lambda _command: Ended(127, "")).exists


def test_systemd_is_asked_nothing_that_the_oldest_supported_one_does_not_know() -> None:
    """systemd 249 of Ubuntu 22.04 refuses --timestamp=unix, and with it the whole question."""
    asked: list[str] = []

    def systemd(command: Sequence[str]) -> Ended:
        asked.extend(command)
        return Ended(0, "")

    unit.look("k3s.service", systemd)
    assert asked[:2] == ["systemctl", "show"]
    assert not [word for word in asked if word.startswith("--timestamp")]


def test_what_a_start_was_made_with_is_read(tmp_path: Path) -> None:
    path = tmp_path / "started"
    assert unit.read_started(path) == unit.Started()
    path.write_text("/usr/local/lib/holdfast/k3s/1.36.4+k3s1/k3s\nabc  /etc/rancher/k3s/config.yaml\n")
    found = unit.read_started(path)
    assert found.version == "1.36.4+k3s1"
    assert found.digests == {"/etc/rancher/k3s/config.yaml": "abc"}
    assert unit.Started("/usr/local/bin/k3s").version == ""


@pytest.mark.parametrize(
    ("line", "part", "hopeless"),
    [
        ("bootstrap data already found and encrypted with different token", "another token", True),
        ("/x newer than datastore and could cause a cluster outage. Remove", "are newer", True),
        ("Node password rejected, duplicate hostname or", "another host by this name", False),
        ("no default routes found in", "k3s_node_default_route", False),
        ("Unknown flag --tls-sans found in config.yaml, skipping", "a key that it does not know", False),
    ],
)
def test_lines_of_the_journal_are_explained(line: str, part: str, hopeless: bool) -> None:
    """Traps 1, 2, 3, 9 and 10."""
    (cause,) = journal.causes(["level=info msg=ok", f"level=fatal {line}"])
    assert part in cause.meaning
    assert cause.hopeless is hopeless


def test_the_lines_that_tell_most_are_shown_once_and_without_tokens() -> None:
    token = f"K10{'0' * 64}::server:"
    said = ["level=info msg=a", f'level=error msg="bad {token}secret"', f'level=error msg="bad {token}secret"']
    assert journal.worth_showing(said) == [f'level=error msg="bad {token}…']
    assert journal.worth_showing(["only", "these"]) == ["only", "these"]


def test_a_program_that_is_not_there_or_never_ends_is_no_exception() -> None:
    assert run(["/no/such/program"]).code == 127
    assert run(["sleep", "5"], seconds=0.1).code == 124


def test_the_datastores_cluster_is_known_by_the_name_of_its_key() -> None:
    assert datastore.whose([], "0123456789ab") == "none"
    assert datastore.whose(["/bootstrap/0123456789ab"], "0123456789ab") == "ours"
    assert datastore.whose(["/bootstrap/ffffffffffff"], "0123456789ab") == "other"
    assert datastore.whose(None, "0123456789ab") == "unknown"
    who = api.Identity(Path("/no/ca"), Path("/no/crt"), Path("/no/key"))
    seen = datastore.look(["https://a:2379"], who, "")
    assert seen.unhealthy == {"https://a:2379": "/no/ca is missing on this node"}
    assert not seen.quorate


ENTRIES = [
    {"name": "k3s", "version": version, "arch": "amd64", "kind": "binaries", "path": "x", "sha256": "0" * 64, "size": 1}
    for version in ("1.36.10+k3s1", "1.36.9+k3s1")
] + [
    {
        "name": "k3s-airgap-images",
        "version": "1.36.10+k3s1",
        "arch": "amd64",
        "kind": "archive",
        "path": "amd64/k3s-airgap-images.tar.zst",
        "sha256": "a" * 64,
        "size": 2,
    }
]


def test_the_newest_version_and_its_images_are_taken() -> None:
    assert images.wanted(ENTRIES, "", []) == {
        "amd64": {
            "version": "1.36.10+k3s1",
            "images": [
                {
                    "name": "k3s-airgap-images",
                    "version": "1.36.10+k3s1",
                    "path": f"{paths.IMAGES}/holdfast-k3s-airgap-images-aaaaaaaaaaaa.tar.zst",
                    "size": 2,
                    "reference": "",
                }
            ],
        }
    }
    assert images.wanted(ENTRIES, "v1.36.9+k3s1", [])["amd64"]["images"] == []


def test_what_a_bundle_lacks_is_told() -> None:
    with pytest.raises(K3sError, match=r"k3s 1\.30\.0 is not in the bundle, which has"):
        images.wanted(ENTRIES, "1.30.0", [])
    with pytest.raises(K3sError, match=r"the bundle has no image coredns.*bundle_more_catalogues"):
        images.wanted(ENTRIES, "", ["coredns"])
    with pytest.raises(K3sError, match="the bundle has no k3s"):
        images.wanted([], "", [])


class Cluster(api.Api):
    """An API with one node, whose lease is renewed at every look or not at all, and the secret with its password."""

    def __init__(self, ready: bool, renews: bool = False, lease: str = "2026-11-21T10:00:00.000000Z") -> None:
        self.asked: list[tuple[str, str]] = []
        self.renews = renews
        conditions = [{"type": "Ready", "status": str(ready)}]
        self.objects: dict[str, Any] = {
            "/api/v1/nodes/n": {
                "metadata": {"name": "n", "resourceVersion": "1"},
                "status": {"conditions": conditions},
            },
            f"{wait.LEASES}/n": {"spec": {"renewTime": lease}},
            "/api/v1/namespaces/kube-system/secrets/n.node-password.k3s": {},
        }

    def ask(self, method: str, path: str, body: Any = None, kind: str = "") -> api.Answer:
        self.asked.append((method, path.rsplit("/", 1)[1]))
        if path not in self.objects:
            return api.Answer(404, "no")
        if method == "DELETE":
            del self.objects[path]
        elif self.renews and path.startswith(wait.LEASES):
            # Its clock is wrong by years, which says nothing about its life.
            self.objects[path]["spec"]["renewTime"] = f"2001-01-01T00:00:{len(self.asked):02d}.000000Z"
        return api.Answer(200, json.dumps(self.objects.get(path)))


def test_a_name_is_not_taken_from_a_host_that_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 2: a rebuilt node is let in, a second one of its name is not."""
    monkeypatch.setattr(membership, "LEASE_SILENT_SECONDS", 0.05)
    monkeypatch.setattr(membership, "LEASE_LOOK_SECONDS", 0.01)
    for living in (Cluster(True, renews=True), Cluster(True, lease="")):
        with pytest.raises(K3sError, match="a host of the name n lives in the cluster"):
            membership.Membership("n", client=living).forget_password()
    for gone in (Cluster(False), Cluster(True)):
        assert membership.Membership("n", client=gone).forget_password().changed
        assert not membership.Membership("n", client=gone).forget_password().changed


def test_check_mode_deletes_nothing() -> None:
    cluster = Cluster(False)
    assert membership.Membership("n", check_mode=True, client=cluster).remove().changed
    assert "DELETE" not in [method for method, _path in cluster.asked]
    assert membership.Membership("n", client=cluster).remove().changed
    assert not membership.Membership("n", client=cluster).remove().changed


def test_a_wait_ends_with_the_journal_and_early_where_it_is_hopeless(tmp_path: Path) -> None:
    """Trap 12: every wait is bounded and shows the journal."""

    def systemd(restarts: int, line: str) -> Callable[[Any], Ended]:
        def ask(command: Any) -> Ended:
            if command[0] == "journalctl":
                return Ended(0, line)
            return Ended(0, f"LoadState=loaded\nActiveState=activating\nMainPID=0\nNRestarts={restarts}\n")

        return ask

    wish = wait.Wait("server", "n", "", 0.0)
    with pytest.raises(K3sError, match=r"n: k3s.service was not Ready within 0 s: k3s.service does not run") as told:
        wait.wait(wish, tmp_path, systemd(0, "Starting k3s"), lambda _seconds: None)
    assert "Starting k3s" in str(told.value)
    hopeless = systemd(2, "level=fatal msg=encrypted with different token")
    with pytest.raises(K3sError, match=r"cannot start\. It means: the datastore holds a cluster"):
        wait._give_up_early(wish, unit.look("k3s", hopeless), hopeless)


def test_credentials_that_are_half_written_are_waited_for(tmp_path: Path) -> None:
    who = api.identity("agent", tmp_path)
    for path in (who.authority, who.certificate, who.key):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("-----BEGIN CERTIFICATE-----\n", encoding="utf-8")
    running = unit.Unit("k3s-agent.service", True, "activating", "start", 7)
    assert "cannot be used" in wait.missing(wait.Wait("agent", "n", "", 1.0), running, tmp_path)


def test_the_lease_tells_which_life_of_a_kubelet_spoke() -> None:
    cluster = Cluster(True, lease="2026-11-21T00:00:10.000000Z")
    assert wait._renewed(cluster, "n", NOW.timestamp() + 9)
    assert not wait._renewed(cluster, "n", NOW.timestamp() + 11)
    assert not wait._renewed(cluster, "other", 0)
    assert wait.same_release("1.36.4", "1.36.4+k3s1")
    assert not wait.same_release("1.35.8", "1.36.4+k3s1")


def test_keys_of_the_datastore_are_asked_of_its_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    class Member(api.Api):
        def __init__(self) -> None:
            self.body: Any = None

        def ask(self, method: str, path: str, body: Any = None, kind: str = "") -> api.Answer:
            self.body = body
            found = base64.b64encode(b"/bootstrap/0123456789ab").decode()
            return api.Answer(200, json.dumps({"kvs": [{"key": found}]}))

    member = Member()
    assert datastore._keys(member) == ["/bootstrap/0123456789ab"]
    assert base64.b64decode(member.body["range_end"]) == b"/bootstrap0"
