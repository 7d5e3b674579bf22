"""Identify the device at an address, and compare it with the device of an entry."""

from typing import NamedTuple

from yarl import URL

from homeassistant.const import CONF_API_KEY, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant

from ..client import (
    AccessDenied,
    AuthenticationFailed,
    BalenaError,
    DirectTransport,
    Supervisor,
)
from ..const import CONF_MAC_ADDRESSES, DOMAIN
from ..session import async_get_session
from .entry import BalenaConfigEntry
from .identity import DeviceIdentity, Match, is_maker_assigned, normalize_mac
from .lease import is_leased_to_another
from .stored_identity import compare_mac_addresses


class ProbedDevice(NamedTuple):
    """What a device reports: its name and its MAC addresses.

    `checks_key` is whether the device refuses requests without a key, and accepted the key.
    """

    name: str
    mac_addresses: list[str]
    api_key: str | None = None
    checks_key: bool = False

    def unique_mac_address(self, hass: HomeAssistant) -> str | None:
        """Return a MAC address that identifies the device, or None.

        An entry whose unique id is the address of a removed network card keeps its unique id.
        """
        known = {
            address
            for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
            for address in (
                entry.unique_id,
                *entry.data.get(CONF_MAC_ADDRESSES, ()),
            )
        }
        return next(
            (
                address
                for address in self.mac_addresses
                if is_maker_assigned(address) and address not in known
            ),
            None,
        )

    def is_registered_as(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> bool:
        """Return whether an entry is of this device, for a flow that adds the device."""
        if self.checks_key and self.api_key == entry.data.get(CONF_API_KEY):
            return True
        return DeviceIdentity.create(self.mac_addresses).has_same_interfaces(
            DeviceIdentity.create(entry.data.get(CONF_MAC_ADDRESSES, ()))
        )

    def compare(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> Match:
        """Return whether an entry is of this device."""
        if self.checks_key and self.api_key == entry.data.get(CONF_API_KEY):
            return Match.SAME
        return compare_mac_addresses(hass, entry, self.mac_addresses)


async def async_probe_device(
    hass: HomeAssistant,
    url: URL,
    api_key: str | None,
    *,
    verify_ssl: bool,
    entry: BalenaConfigEntry | None = None,
) -> ProbedDevice:
    """Identify a device. GET /v1/device.

    The first request has no key: a device in local mode needs none, and another device must
    not receive a key that it does not require. The second request has the key, as a poll has,
    unless the device is another than that of the entry.

    Raises:
        AuthenticationFailed: The device needs a key, or refuses the key.
        BalenaError: The device does not answer.
    """
    session = async_get_session(hass, verify_ssl)
    supervisor = Supervisor(DirectTransport(url, session))
    checks_key = is_other_device = False
    try:
        report = await supervisor.device()
    except AuthenticationFailed:
        if api_key is None:
            raise
        checks_key = True
    else:
        is_other_device = (
            entry is not None
            and compare_mac_addresses(hass, entry, report.mac_addresses)
            is Match.DIFFERENT
        )
    if api_key is not None and not is_other_device:
        supervisor = Supervisor(DirectTransport(url, session, api_key))
        report = await supervisor.device()
    return ProbedDevice(
        name=await _name(supervisor),
        mac_addresses=[normalize_mac(address) for address in report.mac_addresses],
        api_key=api_key,
        checks_key=checks_key,
    )


async def async_confirm_device(
    hass: HomeAssistant, entry: BalenaConfigEntry, url: URL
) -> Match:
    """Return whether the device of an entry answers at a URL.

    A device that asks for the key at an address that was leased to another one counts as
    another one.

    Raises:
        AuthenticationFailed: The device refuses the key of the entry.
        BalenaError: No device answers.
    """
    data = entry.data
    is_other_device = is_leased_to_another(hass, entry, url)
    key = None if is_other_device else data.get(CONF_API_KEY)
    session = async_get_session(hass, data.get(CONF_VERIFY_SSL, True))
    keyless = DirectTransport(url, session, withheld_key=data.get(CONF_API_KEY))
    try:
        report = await Supervisor(keyless).device()
    except AuthenticationFailed, AccessDenied:
        if key is None:
            # The key must not be sent, or the entry has none.
            if data.get(CONF_API_KEY) is not None:
                return Match.DIFFERENT
            raise
        await Supervisor(DirectTransport(url, session, key)).device()
        # The device checks the key and accepts it.
        return Match.SAME
    match = compare_mac_addresses(hass, entry, report.mac_addresses)
    # Without evidence, the lease decides.
    if match is Match.UNKNOWN and is_other_device:
        return Match.DIFFERENT
    return match


async def _name(supervisor: Supervisor) -> str:
    """Return the name of a device. Old Supervisors report none, and busy ones may not answer."""
    try:
        if name := await supervisor.device_name():
            return name
    except BalenaError:
        pass
    try:
        return (await supervisor.host_config()).hostname or "balena device"
    except BalenaError:
        return "balena device"
