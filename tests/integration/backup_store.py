# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real store that speaks S3, on a test host of its own: versitygw from the bundle, with TLS."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._s3.client import Bucket
from ansible_collections.holdfast.edge.plugins.module_utils._s3.signing import Keys
from ansible_collections.holdfast.edge.plugins.module_utils._s3.transport import Transport

from dev.paths import BUNDLE
from tests.hosts import Host, HostSet

from .kubernetes_certificates import Authority
from .kubernetes_remote import Remote

PORT = 9000
BUCKET = "backups"
ACCESS_KEY = "AKHOLDFASTTEST"
SECRET_KEY = "a-secret-key-of-the-test"
FOLDER = "/var/lib/holdfast/store"
ARGUMENTS = f"--quiet --port :{PORT} --cert /etc/store/tls.crt --key /etc/store/tls.key"
UNIT = f"""[Service]
Environment=ROOT_ACCESS_KEY={ACCESS_KEY} ROOT_SECRET_KEY={SECRET_KEY}
ExecStart=/usr/local/bin/versitygw {ARGUMENTS} posix --sidecar /var/lib/holdfast/meta {FOLDER}
"""


class BackupStore:
    """The store, its CA on the controller, and its bucket as a test sees it."""

    def __init__(self, host_set: HostSet, host: Host, folder: Path) -> None:
        self._remote = Remote(host_set, host)
        self.endpoint = f"https://{host.address}:{PORT}"
        self.ca_file = folder / "store-ca.crt"
        self._authority = Authority()
        self.ca_file.write_bytes(self._authority.certificate)

    def start(self) -> None:
        """Run it with an empty bucket."""
        (program,) = (BUNDLE / "amd64/bin/versitygw").glob("*/versitygw")
        own = self._authority.issue("store", names=[self._remote.host.address])
        self._remote.place(
            {
                "/usr/local/bin/versitygw": program,
                "/etc/store/tls.crt": own.certificate,
                "/etc/store/tls.key": own.key,
                "/etc/systemd/system/store.service": UNIT.encode(),
            }
        )
        self._remote.run(f"mkdir -p {FOLDER}/{BUCKET} /var/lib/holdfast/meta && systemctl daemon-reload")
        self.up()

    def up(self) -> None:
        self._remote.run("systemctl start store.service")

    def down(self) -> None:
        self._remote.run("systemctl stop store.service")

    def bucket(self, prefix: str) -> Bucket:
        transport = Transport(self.endpoint, BUCKET, Keys(ACCESS_KEY, SECRET_KEY), str(self.ca_file))
        return Bucket(transport, prefix)

    def variables(self) -> dict[str, str]:
        """What a site is told of it."""
        return {
            "backup_s3_endpoint": self.endpoint,
            "backup_s3_bucket": BUCKET,
            "backup_s3_access_key": ACCESS_KEY,
            "backup_s3_secret_key": SECRET_KEY,
            "backup_s3_ca_file": str(self.ca_file),
        }
