"""Releases that a device can be pinned to."""

from collections.abc import Sequence
from typing import Protocol

from ..client import Release


class ReleaseStore(Protocol):
    """The place that lists the releases of the fleet of a device, and pins the device to one of them."""

    @property
    def latest(self) -> Sequence[Release]:
        """The last releases of the fleet, the newest first."""
        ...

    @property
    def pinned(self) -> Release | None:
        """The release that the device is pinned to, or None if it tracks its fleet."""
        ...

    @property
    def page(self) -> str | None:
        """The address of the page of the target release in the dashboard, or None."""
        ...

    async def find(self, text: str) -> Release:
        """Return the release with a version, a commit or an id. Raises BalenaError."""
        ...

    async def notes(self) -> str | None:
        """Return the notes of the target release. Raises BalenaError."""
        ...

    async def pin(self, release: Release | None) -> None:
        """Pin the device to a release, or let it track its fleet. Raises BalenaError."""
        ...
