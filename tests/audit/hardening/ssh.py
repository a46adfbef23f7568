# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls of dev-sec's ssh baseline by their ids (github.com/dev-sec/ssh-baseline), asked of what really holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .model import Control, Facts, Judge

CIPHERS = {
    *("chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com"),
    *("aes256-ctr", "aes192-ctr", "aes128-ctr"),
}
MACS = {
    *("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com"),
    *("hmac-sha2-512", "hmac-sha2-256"),
}
KEY_EXCHANGES = {
    *("sntrup761x25519-sha512@openssh.com", "sntrup761x25519-sha512", "mlkem768x25519-sha256"),
    *("curve25519-sha256", "curve25519-sha256@libssh.org", "diffie-hellman-group-exchange-sha256"),
    *("diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512"),
}
HOST_KEYS = re.compile(r"/ssh_host_(ed25519|ecdsa|rsa)_key$")


def server(name: str, *will_do: str) -> Judge:
    """The server's setting, as it holds."""
    return lambda facts: _among(facts.sshd(name), will_do)


def client(name: str, *will_do: str) -> Judge:
    """The client's setting, as it holds."""
    return lambda facts: _among(facts.ssh(name), will_do)


def _among(values: Sequence[str], will_do: Sequence[str]) -> str:
    return "" if values and all(value in will_do for value in values) else f"it is {', '.join(values) or 'not told'}"


def gone(name: str) -> Judge:
    """A setting that this OpenSSH does not have any more, whatever it allowed."""

    def asked(facts: Facts) -> str:
        number = re.search(r"OpenSSH_([0-9]+)\.([0-9]+)", facts.seen["ssh_version"])
        new = number is not None and (int(number[1]), int(number[2])) >= (7, 6)
        return "" if new and not facts.sshd(name) and not facts.ssh(name) else f"{name} may still be set"

    return asked


def not_allowed(name: str, *will_do: str) -> Judge:
    """A setting of something that may not be built in: then nothing is told of it."""
    return lambda facts: _among(facts.sshd(name), will_do) if facts.sshd(name) else ""


def only(side: str, name: str, strong: set[str]) -> Judge:
    """No weak algorithm is offered."""

    def asked(facts: Facts) -> str:
        values = facts.sshd(name) if side == "server" else facts.ssh(name)
        offered = {item for value in values for item in value.split(",")}
        return "none is told" if not offered else ", ".join(sorted(offered - strong))

    return asked


def mode(path: str, wanted: int) -> Judge:
    def asked(facts: Facts) -> str:
        seen = facts.file(path)
        right = bool(seen) and (seen["owner"], seen["group"], seen["mode"]) == ("root", "root", wanted)
        return "" if right else str(dict(seen))

    return asked


def host_keys(facts: Facts) -> str:
    return ", ".join(path for path in facts.sshd("hostkey") if not HOST_KEYS.search(path))


def banner(facts: Facts) -> str:
    return "" if re.search(r"(?m)^\s*DebianBanner no$", facts.seen["ssh_configuration"]) else "the system is told"


def primes(facts: Facts) -> str:
    lines = [line.split() for line in facts.seen["moduli"].splitlines() if line and line[0].isdigit()]
    return ", ".join(sorted({words[4] for words in lines if int(words[4]) < 2047}))


def on_command_line(facts: Facts) -> str:
    return ", ".join(
        line for line in facts.seen["sshd_commands"] if re.search(r"-o ?(Ciphers|Kex|MACs|HostKeyAlg)", line)
    )


CLIENT = (
    Control("ssh-01", "its settings are root's to change", mode("/etc/ssh/ssh_config", 0o644)),
    Control("ssh-02", "which network", client("addressfamily", "any", "inet", "inet6")),
    Control("ssh-03", "which port", client("port", "22")),
    Control("ssh-04", "no protocol 1", gone("protocol")),
    Control("ssh-05", "asks a person", client("batchmode", "no")),
    Control("ssh-06", "compares addresses too", client("checkhostip", "yes")),
    Control("ssh-07", "trusts no unknown host unasked", client("stricthostkeychecking", "ask", "yes", "true")),
    Control("ssh-08", "strong ciphers", only("client", "ciphers", CIPHERS)),
    Control("ssh-09", "strong key exchanges", only("client", "kexalgorithms", KEY_EXCHANGES)),
    Control("ssh-10", "strong authentication of messages", only("client", "macs", MACS)),
    Control("ssh-11", "lends nobody its agent", client("forwardagent", "no")),
    Control("ssh-12", "lends nobody its screen", client("forwardx11", "no")),
    Control("ssh-13", "no login by host", client("hostbasedauthentication", "no")),
    Control("ssh-14", "no login by rhosts", gone("rhostsrsaauthentication")),
    Control("ssh-15", "no RSA of protocol 1", gone("rsaauthentication")),
    Control("ssh-16", "no passwords", client("passwordauthentication", "no")),
    Control("ssh-17", "no GSSAPI", client("gssapiauthentication", "no")),
    Control("ssh-18", "lends no tickets", client("gssapidelegatecredentials", "no")),
    Control("ssh-19", "no tunnels", client("tunnel", "no", "false")),
    Control("ssh-20", "starts no commands here", client("permitlocalcommand", "no")),
    Control("ssh-21", "no roaming", gone("useroaming")),
)
SERVER = (
    Control("sshd-01", "strong ciphers", only("server", "ciphers", CIPHERS)),
    Control("sshd-02", "strong key exchanges", only("server", "kexalgorithms", KEY_EXCHANGES)),
    Control("sshd-03", "strong authentication of messages", only("server", "macs", MACS)),
    Control("sshd-04", "its folder is root's to change", mode("/etc/ssh", 0o755)),
    Control("sshd-05", "its settings are root's alone", mode("/etc/ssh/sshd_config", 0o600)),
    Control("sshd-06", "root by key at most", server("permitrootlogin", "no", "prohibit-password", "without-password")),
    Control("sshd-07", "which port", server("port", "22")),
    Control("sshd-08", "which network", server("addressfamily", "any", "inet", "inet6")),
    Control("sshd-09", "which addresses", lambda f: "" if f.sshd("listenaddress") else "none is told"),
    Control("sshd-10", "no protocol 1", gone("protocol")),
    Control("sshd-11", "distrusts files that others may write", server("strictmodes", "yes")),
    Control("sshd-12", "logs to AUTH", server("syslogfacility", "AUTH", "AUTHPRIV")),
    Control("sshd-13", "logs which key came", server("loglevel", "VERBOSE")),
    Control("sshd-14", "host keys of strong kinds", host_keys),
    Control("sshd-15", "no login(1)", gone("uselogin")),
    Control("sshd-16", "privileges are apart", gone("useprivilegeseparation")),
    Control("sshd-17", "takes no environment from users", server("permituserenvironment", "no")),
    Control("sshd-18", "30 seconds to log in", server("logingracetime", "30")),
    Control("sshd-19", "two tries", server("maxauthtries", "2")),
    Control("sshd-20", "ten sessions", server("maxsessions", "10")),
    Control("sshd-21", "few strangers at once", server("maxstartups", "10:30:100")),
    Control("sshd-22", "by key", server("pubkeyauthentication", "yes")),
    Control("sshd-23", "ignores rhosts", server("ignorerhosts", "yes")),
    Control("sshd-24", "ignores users' known hosts", server("ignoreuserknownhosts", "yes")),
    Control("sshd-25", "no login by host", server("hostbasedauthentication", "no")),
    Control("sshd-26", "no login by rhosts", gone("rhostsrsaauthentication")),
    Control("sshd-27", "no passwords", server("passwordauthentication", "no")),
    Control("sshd-28", "no empty passwords", server("permitemptypasswords", "no")),
    Control("sshd-29", "no questions instead of passwords", server("kbdinteractiveauthentication", "no")),
    Control("sshd-30", "no Kerberos", not_allowed("kerberosauthentication", "no")),
    Control("sshd-31", "nor passwords in its place", not_allowed("kerberosorlocalpasswd", "no")),
    Control("sshd-32", "tickets are thrown away", not_allowed("kerberosticketcleanup", "yes")),
    Control("sshd-33", "no GSSAPI", not_allowed("gssapiauthentication", "no")),
    Control("sshd-34", "its credentials are thrown away", not_allowed("gssapicleanupcredentials", "yes")),
    Control("sshd-35", "no TCP keep-alives", server("tcpkeepalive", "no")),
    Control("sshd-36", "asks after silent clients", server("clientaliveinterval", "300")),
    Control("sshd-37", "three times", server("clientalivecountmax", "3")),
    Control("sshd-38", "no tunnels", server("permittunnel", "no")),
    Control("sshd-39", "forwards no TCP", server("allowtcpforwarding", "no")),
    Control("sshd-40", "forwards no agent", server("allowagentforwarding", "no")),
    Control("sshd-41", "no ports for others", server("gatewayports", "no")),
    Control("sshd-42", "no X11", server("x11forwarding", "no")),
    Control("sshd-43", "X11 on loopback at most", server("x11uselocalhost", "yes")),
    Control("sshd-44", "says no message of the day", server("printmotd", "no")),
    Control("sshd-45", "says no last login", server("printlastlog", "no")),
    Control("sshd-46", "no banner", server("banner", "none")),
    Control("sshd-47", "does not tell the system", banner),
    Control("sshd-48", "strong primes", primes),
    Control("sshd-49", "nothing on its command line", on_command_line),
)
CONTROLS = (*CLIENT, *SERVER)
