# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store can refuse, as the sentence that an operator reads."""

from __future__ import annotations

import email.utils
import re
import time

# The names that stores have for an access key that they do not know.
_UNKNOWN_KEY = ("InvalidAccessKeyId", "NoSuchUser", "XAdminUserNotFound")


class StoreError(Exception):
    """The store answered, and the answer is no; trying again changes nothing."""


class StoreUnreachableError(StoreError):
    """The store did not answer, or not in time; a later try may go well."""


class StoreMissingError(StoreError):
    """The object is not there."""


def code_of(body: bytes) -> str:
    """The word between <Code> and </Code> of an error document; empty where there is none."""
    match = re.search(rb"<Code>([A-Za-z0-9]{1,64})</Code>", body)
    return match.group(1).decode() if match else ""


def refusal(
    status: int, code: str, headers: dict[str, str], *, where: str, bucket: str, access_key: str, doing: str
) -> StoreError:
    """The sentence for an answer that is not a success."""
    if code == "RequestTimeTooSkewed":
        return StoreError(
            f"{where} refused {doing}: this machine's clock is {skew(headers)} the store's. Set the clock right "
            "(the store takes 15 minutes at most), then run it again."
        )
    if code in (*_UNKNOWN_KEY, "SignatureDoesNotMatch"):
        wrong = (
            f"it does not know the access key {access_key}"
            if code in _UNKNOWN_KEY
            else f"the secret key does not fit the access key {access_key}"
        )
        return StoreError(f"{where} refused {doing}: {wrong}. Put the right keys in place, then run it again.")
    if code == "NoSuchBucket":
        return StoreError(f"{where} has no bucket {bucket}. Make it, or name the right one, then run it again.")
    if status == 404 and code in ("", "NoSuchKey"):
        return StoreMissingError(f"{where} has nothing at {doing}.")
    if status in (401, 403) and not code:
        # The answer to HEAD has no body that would tell the one from the other.
        return StoreError(
            f"{where} refused {doing} ({status}): the secret key does not fit the access key {access_key}, or that key "
            f"may not do that in the bucket {bucket}. Put the right keys in place or grant it reading, writing and "
            "listing there, then run it again."
        )
    if status in (401, 403):
        return StoreError(
            f"{where} refused {doing} ({code or status}): the access key {access_key} may not do that in the bucket "
            f"{bucket}. Grant it reading, writing and listing there, then run it again."
        )
    if code == "AuthorizationHeaderMalformed":
        return StoreError(f"{where} refused {doing}: the region is not the one of its buckets. Give the right region.")
    if status in (301, 307, 308):
        return StoreError(
            f"{where} sends {doing} elsewhere ({headers.get('location') or code or status}). Give the endpoint and the "
            "region that the bucket is in."
        )
    return StoreError(f"{where} refused {doing} with {status}{f' ({code})' if code else ''}.")


def skew(headers: dict[str, str]) -> str:
    """How far this clock is from the one that answered, in words."""
    told = email.utils.parsedate_tz(headers.get("date", ""))
    if told is None:
        return "too far from"
    seconds = round(time.time() - email.utils.mktime_tz(told))
    return f"{abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'}"
