# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers by the names that the control files use. Each judges what was seen, and asks nothing of a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..evidence import Evidence
from ..result import Finding
from .audit_policy import audit_policy
from .etcd import etcd_data, etcd_setting, own_authority
from .files import mode, owner
from .flags import encryption_provider, k3s_key, kubelet_value, setting
from .namespaces import default_service_accounts, network_policies, nothing_in, pod_security
from .pods import seccomp, secrets_as_variables, security_contexts, token_mounts
from .rbac import cluster_admin, nobody_but_the_system, wildcards

Reader = Callable[[Mapping[str, Any], Evidence], list[Finding]]

READERS: Mapping[str, Reader] = {
    reader.__name__: reader
    for reader in (
        audit_policy,
        cluster_admin,
        default_service_accounts,
        encryption_provider,
        etcd_data,
        etcd_setting,
        k3s_key,
        kubelet_value,
        mode,
        network_policies,
        nobody_but_the_system,
        nothing_in,
        own_authority,
        owner,
        pod_security,
        seccomp,
        secrets_as_variables,
        security_contexts,
        setting,
        token_mounts,
        wildcards,
    )
}
