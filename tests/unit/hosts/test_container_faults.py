# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine cannot do at once is tried again, and what it cannot do at all is told."""

from __future__ import annotations

from unittest import mock

import pytest
from docker.errors import APIError

from tests.hosts.container_faults import FREEZE_TRIES, freeze

BORN = APIError("500", explanation="OCI runtime pause failed: unable to freeze: unknown")


def test_processes_that_are_born_meanwhile_are_no_reason_to_give_up() -> None:
    container = mock.Mock()
    container.pause.side_effect = [BORN, BORN, None]
    freeze(container)
    assert container.pause.call_count == 3


@pytest.mark.parametrize(("error", "tries"), [(BORN, FREEZE_TRIES), (APIError("409", explanation="not running"), 1)])
def test_what_stays_is_told(error: APIError, tries: int) -> None:
    container = mock.Mock()
    container.pause.side_effect = error
    with pytest.raises(APIError):
        freeze(container)
    assert container.pause.call_count == tries
