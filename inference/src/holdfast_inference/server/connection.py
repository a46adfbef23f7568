# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""uvicorn's connection with what it lacks: the client's certificate, a way to cut, an end for silent connections."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from holdfast_inference.server.errors import ApiError


def connection_class(header_seconds: float, write_seconds: float) -> type[H11Protocol]:
    """The class of connections that are closed when nothing was asked, or nothing read, for so long."""

    class Connection(H11Protocol):
        _silence: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # What is in the state of an application is in the scope of each of its requests.
            self.app_state = {**self.app_state, "abort": transport.abort, "peer": _peer_name(transport)}
            self._silence = self.loop.call_later(header_seconds, self._close_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            self._read_on()
            if self._silence is not None:
                self._silence.cancel()
            super().connection_lost(exc)
            # After a reset, uvicorn would keep the connection with its last request until the time to keep it is over.
            self._unset_keepalive_if_required()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._look_again()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._read_on()

        def _look_again(self) -> None:
            left = self.transport.get_write_buffer_size()
            self._unread = self.loop.call_later(write_seconds, self._cut_if_unread, left)

        def _cut_if_unread(self, before: int) -> None:
            """An answer that is whole is out of the application's hands, so nobody else would notice."""
            if self.transport.get_write_buffer_size() < before:
                self._look_again()
            else:
                self.transport.abort()

        def _read_on(self) -> None:
            if self._unread is not None:
                self._unread.cancel()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_halfway() and (self._silence is None or self._silence.when() < self.loop.time()):
                self._silence = self.loop.call_later(header_seconds, self._close_if_silent)

        def _is_halfway(self) -> bool:
            """Whether a part of a request's head is here; nothing may be said about one whose body is coming."""
            return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

        def _close_if_silent(self) -> None:
            if (self.cycle is None or self._is_halfway()) and not self.transport.is_closing():
                self.transport.close()

        def send_400_response(self, msg: str) -> None:
            """What is no HTTP at all gets an answer in the same shape as everything else."""
            body = json.dumps(ApiError(400, "invalid_http", msg).body()).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Connection


def _peer_name(transport: asyncio.Transport) -> str | None:
    """The common name of a verified client certificate, or None where there is none."""
    channel = transport.get_extra_info("ssl_object")
    certificate: dict[str, Any] | None = channel.getpeercert() if channel is not None else None
    if not certificate:
        return None
    names = {name: value for part in certificate.get("subject", ()) for name, value in part}
    return str(names.get("commonName", "client"))
