"""Ask the device at an address who it is, and compare it with the device of an entry."""

from collections.abc import Iterable
from dataclasses import dataclass

from yarl import URL

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant

from ..client import AuthenticationFailed, BalenaError, DirectTransport, Supervisor
from ..const import CONF_MAC_ADDRESSES, DOMAIN
from ..session import async_get_session
from .entry import BalenaConfigEntry
from .identity import DeviceIdentity, Match, is_maker_assigned, normalize_mac
from .lease import is_leased_to_another


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedDevice:
    """The answer of a device: its name and its MAC addresses.

    `checks_key` is whether the device refuses requests without a key, and accepted the key.
    """

    name: str
    mac_addresses: list[str]
    api_key: str | None = None
    checks_key: bool = False

    def unique_mac_address(self, hass: HomeAssistant) -> str | None:
        """Return a MAC address that identifies the device, or None."""
        known = {
            address
            for entry in hass.config_entries.async_entries(DOMAIN)
            for address in entry.data.get(CONF_MAC_ADDRESSES, ())
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
        identity = DeviceIdentity.create(
            self.mac_addresses, shared=shared_mac_addresses(hass, entry)
        )
        return identity.has_same_interfaces(
            DeviceIdentity.create(_current_mac_addresses(entry))
        )

    def compare(self, hass: HomeAssistant, entry: BalenaConfigEntry) -> Match:
        """Return whether an entry is of this device."""
        if self.checks_key and self.api_key == entry.data.get(CONF_API_KEY):
            return Match.SAME
        return _match(hass, entry, self.mac_addresses)


def shared_mac_addresses(
    hass: HomeAssistant, entry: BalenaConfigEntry
) -> frozenset[str]:
    """Return the MAC addresses that other local entries store: they identify no device."""
    return frozenset(
        address
        for other in hass.config_entries.async_entries(DOMAIN)
        if other.entry_id != entry.entry_id
        for address in other.data.get(CONF_MAC_ADDRESSES, ())
    )


def identity_of(hass: HomeAssistant, entry: BalenaConfigEntry) -> DeviceIdentity:
    """Return the evidence that an entry stores about its device."""
    return DeviceIdentity.create(
        entry.data.get(CONF_MAC_ADDRESSES, ()),
        shared=shared_mac_addresses(hass, entry),
    )


def _current_mac_addresses(entry: BalenaConfigEntry) -> list[str]:
    """Return the MAC addresses that the device of an entry reports now, or reported last."""
    if entry.state is ConfigEntryState.LOADED and entry.runtime_data.account is None:
        for device in entry.runtime_data.devices.values():
            if device.coordinator.last_update_success and device.state.mac_addresses:
                return list(device.state.mac_addresses)
    return list(entry.data.get(CONF_MAC_ADDRESSES, ()))


async def async_probe_device(
    hass: HomeAssistant,
    url: URL,
    api_key: str | None,
    *,
    verify_ssl: bool,
    entry: BalenaConfigEntry | None = None,
) -> ProbedDevice:
    """Ask a device who it is. GET /v1/device.

    The first request has no key: a device in local mode needs none, and a stranger must
    not receive one that it does not ask for. The second request has the key, as a poll has,
    unless the device is another than that of the entry.

    Raises:
        AuthenticationFailed: The device needs a key, or refuses the key.
        BalenaError: The device does not answer.
    """
    session = async_get_session(hass, verify_ssl)
    supervisor = Supervisor(DirectTransport(url, session))
    checks_key = is_stranger = False
    try:
        report = await supervisor.device()
    except AuthenticationFailed:
        if api_key is None:
            raise
        checks_key = True
    else:
        is_stranger = (
            entry is not None
            and _match(hass, entry, report.mac_addresses) is Match.DIFFERENT
        )
    if api_key is not None and not is_stranger:
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

    Raises:
        AuthenticationFailed: The device refuses the key of the entry.
        BalenaError: No device answers.
    """
    data = entry.data
    key = None if is_leased_to_another(hass, entry, url) else data.get(CONF_API_KEY)
    session = async_get_session(hass, data.get(CONF_VERIFY_SSL, True))
    try:
        report = await Supervisor(DirectTransport(url, session)).device()
    except AuthenticationFailed:
        if key is None:
            # A stranger, or the key of a device that had none.
            if data.get(CONF_API_KEY) is not None:
                return Match.DIFFERENT
            raise
        await Supervisor(DirectTransport(url, session, key)).device()
        # The device checks the key and accepts it.
        return Match.SAME
    return _match(hass, entry, report.mac_addresses)


def _match(
    hass: HomeAssistant, entry: BalenaConfigEntry, mac_addresses: Iterable[str]
) -> Match:
    """Return whether MAC addresses are of the device of an entry."""
    shared = shared_mac_addresses(hass, entry)
    identity = DeviceIdentity.create(mac_addresses, shared=shared)
    return identity.compare(identity_of(hass, entry))


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
