"""Protocols of what only the balena API offers for a device.

An account implements them: `account/public_url.py` and `account/releases.py`.
"""

from collections.abc import Sequence
from typing import Protocol

from ..client import Release


class PublicUrl(Protocol):
    """The URL at which everybody can reach the device while it is enabled."""

    @property
    def address(self) -> str:
        """The URL itself, also while it is not enabled."""
        ...

    async def set_enabled(self, *, is_enabled: bool) -> None:
        """Enable or disable the URL. Raises BalenaError."""
        ...


class ReleaseStore(Protocol):
    """Lists the releases of the fleet of a device, and pins the device to one of them."""

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
