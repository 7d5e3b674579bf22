"""CloudReleases: releases of fleets, and pins of devices and fleets, through the balena API."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from itertools import batched
import re
from typing import Final

from .cloud_models import Release, parse_releases
from .errors import NotFound, Reason
from .http import JsonObject
from .parsing import parse_int, parse_long_text, parse_object

LISTED_RELEASES: Final = 20
# Keeps the URL shorter than 8 kB.
FLEETS_PER_QUERY: Final = 500
_MAX_ID_LENGTH: Final = 15
_MIN_COMMIT_LENGTH: Final = 7
_USABLE: Final = "status eq 'success' and is_invalidated eq false"

type _Query = Callable[[str, Mapping[str, str]], Awaitable[list[object]]]
type _Command = Callable[[str, str, JsonObject], Awaitable[None]]


class CloudReleases:
    """The releases of the fleets of an account. Raises the errors of BalenaCloud."""

    def __init__(self, query: _Query, command: _Command) -> None:
        """Use the balena API."""
        self._query = query
        self._command = command

    async def latest(
        self, fleet_ids: Iterable[int]
    ) -> Mapping[int, tuple[Release, ...]]:
        """Return the last 20 releases of each fleet, the newest first. GET /v7/application."""
        releases: dict[int, tuple[Release, ...]] = {}
        for batch in batched(sorted(fleet_ids), FLEETS_PER_QUERY, strict=False):
            query = {
                "$select": "id",
                "$expand": (
                    "owns__release($select=id,commit,raw_version,is_final;"
                    f"$filter={_USABLE};$orderby=created_at desc;$top={LISTED_RELEASES})"
                ),
                "$filter": f"id in ({','.join(map(str, batch))})",
            }
            for row in map(parse_object, await self._query("application", query)):
                if (fleet_id := parse_int(row.get("id"))) is not None:
                    releases[fleet_id] = parse_releases(row.get("owns__release"))
        return releases

    async def find(self, fleet_id: int, text: str) -> Release:
        """Return the release of a fleet with a version, a commit or an id. GET /v7/release.

        Seven digits of a commit are enough. If several releases match, the one with the version wins, then the
        one with the id, then the newest.

        Raises:
            NotFound: The fleet has no such release, or it was not built successfully.
        """
        conditions = [f"raw_version eq '{text.replace("'", "''")}'"]
        if re.fullmatch(rf"[0-9a-f]{{{_MIN_COMMIT_LENGTH},}}", text):
            conditions.append(f"startswith(commit,'{text}')")
        if re.fullmatch(rf"[0-9]{{1,{_MAX_ID_LENGTH}}}", text):
            conditions.append(f"id eq {text}")
        found = await self._find(fleet_id, f"({' or '.join(conditions)})")
        # The id of one release can be the first digits of the commit of another.
        return min(
            found,
            key=lambda release: (release.version != text, str(release.id) != text),
        )

    async def notes(self, release_id: int) -> str | None:
        """Return the notes of a release, in Markdown, or None. GET /v7/release."""
        query = {"$select": "note", "$filter": f"id eq {release_id}"}
        for row in await self._query("release", query):
            return parse_long_text(parse_object(row).get("note"))
        return None

    async def pin_device(self, device_id: int, release_id: int | None) -> None:
        """Pin a device to a release of its fleet. None lets it track the fleet. PATCH /v7/device.

        Raises:
            BadRequest: The release is not one of the fleet of the device.
            OutcomeUnknown: The request was sent, but no usable response arrived.
        """
        fields = {"is_pinned_on__release": release_id}
        await self._command("PATCH", f"device({device_id})", fields)

    async def pin_fleet(self, fleet_id: int, release_id: int | None) -> None:
        """Pin a fleet to a release. None lets it track its latest final release. PATCH /v7/application.

        Raises:
            BadRequest: The release is not one of the fleet.
            OutcomeUnknown: The request was sent, but no usable response arrived.
        """
        fields: dict[str, object] = {"should_track_latest_release": release_id is None}
        if release_id is None:
            # A fleet without a final release will run its first one.
            with suppress(NotFound):
                release_id = (await self._find(fleet_id, "is_final eq true"))[0].id
        if release_id is not None:
            fields["should_be_running__release"] = release_id
        await self._command("PATCH", f"application({fleet_id})", fields)

    async def _find(self, fleet_id: int, condition: str) -> tuple[Release, ...]:
        """Return the releases that meet a condition, the newest first, at least one.

        Raises:
            NotFound: No release meets the condition.
        """
        query = {
            "$select": "id,commit,raw_version,is_final",
            "$filter": f"belongs_to__application eq {fleet_id} and {_USABLE} and {condition}",
            "$orderby": "created_at desc",
            "$top": str(LISTED_RELEASES),
        }
        if found := parse_releases(await self._query("release", query)):
            return found
        raise NotFound("The fleet has no such release", Reason.UNKNOWN_RELEASE)
