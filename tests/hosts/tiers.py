# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiers by name. Each is imported only when it is asked for: one need not be usable for the other to work."""

from __future__ import annotations

from .distribution import DEFAULT_DISTRIBUTION
from .model import HostsError, Tier

TIERS = ("container", "vm")


def find(name: str, distribution: str = DEFAULT_DISTRIBUTION) -> Tier:
    """Return the tier of that name, or say which ones there are."""
    if name == "container":
        from .containers import ContainerTier

        return ContainerTier(distribution)
    if name == "vm":
        if distribution != DEFAULT_DISTRIBUTION:
            raise HostsError(f"Hosts of the tier vm are {DEFAULT_DISTRIBUTION}; {distribution} is for containers only.")
        from .vm import VmTier

        return VmTier()
    raise HostsError(f"There is no tier {name}; the test bed knows {' and '.join(TIERS)}.")
