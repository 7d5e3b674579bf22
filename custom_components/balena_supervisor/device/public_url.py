"""Public URL of a device."""

from typing import Protocol


class PublicUrl(Protocol):
    """The URL at which everybody can reach the device while it is enabled."""

    @property
    def address(self) -> str:
        """The URL itself, also while it is not enabled."""
        ...

    async def set_enabled(self, *, is_enabled: bool) -> None:
        """Enable or disable the URL. Raises BalenaError."""
        ...
