"""Make sure that the device at the address of an entry is the device of the entry."""

from homeassistant.const import CONF_API_KEY
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util.network import is_ip_address

from ..const import CONF_MAC_ADDRESSES, DOMAIN
from .address_change import async_follow_address
from .entry import BalenaConfigEntry, local_device_url
from .identity import Match, is_maker_assigned, normalize_mac
from .lease import is_leased_to_another
from .probe import async_confirm_device
from .state import DeviceState
from .stored_identity import reported_and_stored_identity


class IdentityGuard:
    """Keeps the commands and the key of an entry from another device at its address."""

    __slots__ = ("_entry", "_hass", "_is_own_device", "_url", "is_another_device")

    def __init__(
        self, hass: HomeAssistant, entry: BalenaConfigEntry, *, is_own_device: bool
    ) -> None:
        """Trust the address until a device answers."""
        self.is_another_device = False
        self._entry = entry
        self._hass = hass
        self._is_own_device = is_own_device
        self._url = local_device_url(entry)

    def error[ErrorT: HomeAssistantError](self, kind: type[ErrorT]) -> ErrorT:
        """Return the error that another device answers."""
        return kind(
            translation_domain=DOMAIN,
            translation_key="another_device",
            translation_placeholders={"device": self._entry.title},
        )

    async def async_confirm_before_command(self) -> None:
        """Raise ServiceValidationError if another device answers, BalenaError if none does."""
        # The router may have given the address to another device since the last poll.
        if self._is_own_device or not is_ip_address(self._url.host or ""):
            return
        await self._confirm()
        if self.is_another_device:
            raise self.error(ServiceValidationError)

    async def async_confirm_before_poll(self) -> None:
        """Raise UpdateFailed if another device answers at an address that was leased to it.

        It must not receive the key.
        """
        if (
            not self._is_own_device
            and self._entry.data.get(CONF_API_KEY) is not None
            and is_leased_to_another(self._hass, self._entry, self._url)
        ):
            await self._confirm_or_follow()

    async def async_check_poll(self, state: DeviceState) -> None:
        """Raise UpdateFailed if another device was polled, else learn the MAC addresses."""
        reported, stored = reported_and_stored_identity(
            self._hass, self._entry, state.mac_addresses
        )
        if reported.mac_addresses:
            match = reported.compare(stored)
            if match is not Match.SAME and not self._is_own_device:
                await self._confirm_or_follow()
            self._learn_mac_addresses(state)
        self.is_another_device = False

    async def async_find_elsewhere(self) -> bool:
        """Return whether the device was found at another address than that of its entry."""
        if not await async_follow_address(self._hass, self._entry):
            return False
        self.is_another_device = True
        return True

    async def _confirm(self) -> None:
        match = await async_confirm_device(self._hass, self._entry, self._url)
        self.is_another_device = match is Match.DIFFERENT

    async def _confirm_or_follow(self) -> None:
        """Raise UpdateFailed if another device answers, and look for the device elsewhere."""
        await self._confirm()
        if self.is_another_device:
            await async_follow_address(self._hass, self._entry)
            raise self.error(UpdateFailed)

    def _learn_mac_addresses(self, state: DeviceState) -> None:
        """Store the MAC addresses that the device reports, and forget those of removed cards.

        Such a card may be moved to another device.
        """
        entry = self._entry
        reported = dict.fromkeys(map(normalize_mac, state.mac_addresses))
        addresses = list(filter(is_maker_assigned, reported))
        if set(addresses) != set(
            filter(is_maker_assigned, entry.data[CONF_MAC_ADDRESSES])
        ):
            self._hass.config_entries.async_update_entry(
                entry, data={**entry.data, CONF_MAC_ADDRESSES: addresses}
            )
