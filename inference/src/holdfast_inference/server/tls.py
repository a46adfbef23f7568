# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The server's side of TLS, from files that are read again when they change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from holdfast_inference.server.settings import Access

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int], ...]


class TlsFiles:
    """A context for new connections. Those that are open keep what they began with."""

    def __init__(self, access: Access) -> None:
        if access.certificate is None or access.private_key is None:
            raise ValueError("TLS needs a certificate and its private key.")
        self._certificate, self._private_key = access.certificate, access.private_key
        self._authority = access.client_authority
        self.failed_reloads = 0
        # The stamp first, so that a change in between is seen.
        self._seen = self._stamp()
        self.context = self._current = self._made()
        # Called for each handshake, with or without a server name in it.
        self.context.sni_callback = self._use_current

    def _use_current(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _made(self) -> ssl.SSLContext:
        """A new context each time, since an authority cannot be taken out of an old one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._certificate, self._private_key)
        if self._authority is not None:
            # Optional in the handshake, since the kubelet's health probes have no certificate; the guard asks for it.
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self._authority)
            # Who takes a session up again is not asked for a certificate, though its authority may be gone meanwhile.
            context.num_tickets = 0
        return context

    def _files(self) -> list[Path]:
        return [path for path in (self._certificate, self._private_key, self._authority) if path is not None]

    def _stamp(self) -> Stamp:
        return tuple((path.stat().st_mtime_ns, path.stat().st_ino) for path in self._files())

    def look(self) -> None:
        """Read the files again if they changed; wrong ones leave what is in force."""
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                self._current = self._made()
                log.info("certificates were read again")
        except OSError as error:
            self.failed_reloads += 1
            log.error("certificates cannot be read, those before stay in force", extra={"reason": str(error)})
