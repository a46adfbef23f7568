# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VRRP in IPsec's authentication header, on machines whose kernel has it.

The API behind the address is a small stand-in, since what is asked here is who may speak about the address.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator

import pytest

from tests.hosts import Host, inflict
from tests.integration.kubernetes_certificates import Authority
from tests.integration.kubernetes_remote import Remote, wait_until
from tests.integration.test_control_plane_lb import PLAY, advertisement
from tests.site import Site, site_hosts

NAME, NETWORK, VIP = "lb-vm", "10.95.0.0/24", "10.95.0.10"
TLS = "/var/lib/rancher/k3s/server/tls"
# What the role hardening writes, as far as it matters here: its rules for VRRP, and those that it takes to get there.
FIREWALL = """
table inet holdfast {{
  chain input {{
    type filter hook input priority filter; policy drop;
    {refusal}
    ct state established,related accept
    ct state invalid drop
    iif "lo" accept
    meta l4proto icmp accept
    tcp dport {{ 22, 6443, 7443 }} accept
    meta l4proto 112 accept
    meta l4proto 51 accept
  }}
}}
"""
API = f"""
import http.server, ssl
class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("{TLS}/serving.crt", "{TLS}/serving.key")
context.load_verify_locations("{TLS}/server-ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("", 6443), Api)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""
SEND = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112); "
    "s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255); "
    "[s.sendto(bytes.fromhex('{packet}'), ('{target}', 0)) for _ in range(20)]"
)
LISTEN = """
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
s.settimeout(0.5)
seen, end = set(), time.time() + 3
while time.time() < end:
    try:
        packet = s.recv(2000)
    except OSError:
        continue
    if socket.inet_ntoa(packet[12:16]) == "{source}":
        seen.add(packet[9])
print(*seen)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Two machines with the address, authenticated as by default; emulated, so with time for slow answers."""
    variables = {
        "site_vip": VIP,
        "control_plane_lb_check_ms": 3000,
        "control_plane_lb_connect_ms": 3000,
        "control_plane_lb_start_seconds": 180,
    }
    with site_hosts(NAME, servers=2, variables=variables, tier="vm", network=NETWORK) as made:
        authority = Authority()
        for host in made.servers:
            serving = authority.issue("k3s", names=["kubernetes.default.svc"])
            client = authority.issue("system:kube-proxy")
            Remote(made.host_set, host).place(
                {
                    f"{TLS}/server-ca.crt": authority.certificate,
                    f"{TLS}/serving.crt": serving.certificate,
                    f"{TLS}/serving.key": serving.key,
                    f"{TLS}/client-kube-proxy.crt": client.certificate,
                    f"{TLS}/client-kube-proxy.key": client.key,
                    "/root/api.py": API.encode(),
                }
            )
            made.ssh(host, "systemd-run --unit=api python3 /root/api.py", 120)
        play = made.folder / "lb.yml"
        play.write_text(PLAY, encoding="utf-8")
        first = made.run(play)
        assert first.rc == 0, first.failures
        wait_until("one has the address", lambda: len(holders(made)) == 1, 60)
        yield made


def holders(site: Site) -> list[Host]:
    return [host for host in site.servers if site.ssh(host, f"ip -4 -o addr show to {VIP}", 60)]


def backup(site: Site) -> Host:
    return next(host for host in site.servers if host not in holders(site))


def test_a_second_run_changes_nothing(site: Site) -> None:
    run = site.run(site.folder / "lb.yml")
    assert (run.rc, sum(run.changed.values())) == (0, 0), run.failures


def test_the_kernel_speaks_and_believes_vrrp_only_with_the_key(site: Site) -> None:
    for host in site.servers:
        states = site.ssh(host, "ip xfrm state list proto ah")
        assert states.count("hmac(sha256)") == 2
    holder, other = holders(site)[0], backup(site)
    assert wire(site, other, holder) == {"51"}


def test_the_key_is_for_root_only_and_in_no_list_of_processes(site: Site) -> None:
    secret = (site.secrets / "vrrp-password").read_text(encoding="utf-8").strip()
    for host in site.servers:
        path = "/etc/holdfast/control_plane_lb/vrrp-authentication-on.xfrm"
        assert site.ssh(host, f"stat -c '%a %U' {path}").split() == ["600", "root"]
        key = site.ssh(host, f"grep -o '0x[0-9a-f]*' {path} | head -1").strip()
        said = site.ssh(host, "ps -e -o args=; journalctl --no-pager -o cat", 120)
        assert key not in said
        assert secret not in said


def test_an_advert_without_the_key_is_not_believed_from_a_peers_own_address(site: Site) -> None:
    holder, peer = holders(site)[0], backup(site)
    # The peer's own kernel would authenticate it, so its policy is taken away for the moment: now it is a stranger.
    packet = advertisement(peer.address, holder.address, VIP).hex()
    site.ssh(peer, "systemctl stop keepalived holdfast-vrrp-authentication", 120)
    try:
        assert "proto ah" not in site.ssh(peer, "ip xfrm state")
        before = refused(site, holder)
        site.ssh(peer, f"python3 -c {shlex.quote(SEND.format(packet=packet, target=holder.address))}", 60)
        time.sleep(1)
        assert refused(site, holder) > before
        assert holders(site) == [holder]
    finally:
        site.ssh(peer, "systemctl start keepalived", 120)


def wire(site: Site, listener: Host, speaker: Host) -> set[str]:
    """The protocols in which one machine speaks to another but TCP, for three seconds."""
    said = site.ssh(listener, f"python3 -c {shlex.quote(LISTEN.format(source=speaker.address))}", 60)
    return set(said.split()) - {"6"}


def refused(site: Site, host: Host) -> int:
    """How many packets the kernel dropped since they came without the header that its policy asks for."""
    counted = site.ssh(host, "grep -E 'XfrmInTmplMismatch|XfrmInNoPols|XfrmInPolBlock' /proc/net/xfrm_stat")
    return sum(int(line.split()[1]) for line in counted.splitlines())


def test_a_firewall_has_to_let_the_header_through_and_what_was_in_it(site: Site) -> None:
    """It looks at each advert twice: as it comes, and as the kernel took it out of the header."""

    def holders_behind(refusal: str) -> int:
        for host in site.servers:
            site.ssh(host, f"nft -f - <<'END'\n{FIREWALL.format(refusal=refusal)}END", 60)
        time.sleep(15)
        found = len(holders(site))
        for host in site.servers:
            site.ssh(host, "nft delete table inet holdfast", 60)
        wait_until("one has the address", lambda: len(holders(site)) == 1, 60)
        return found

    assert holders_behind("") == 1
    assert holders_behind("meta l4proto 51 drop") == 2, "both believe that they are alone"
    assert holders_behind("meta l4proto 112 drop") == 2, "both believe that they are alone"


def test_the_address_moves_when_its_holder_loses_power(site: Site) -> None:
    holder, other = holders(site)[0], backup(site)
    inflict(site.host_set.name, holder.name, "kill")
    wait_until("the other one has it", lambda: bool(site.ssh(other, f"ip -4 -o addr show to {VIP}")), 10)
