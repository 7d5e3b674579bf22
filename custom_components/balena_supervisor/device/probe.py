"""Ask the device at an address who it is."""

from dataclasses import dataclass

from yarl import URL

from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ..client import BalenaError, DirectTransport, Supervisor
from ..const import CONF_MAC_ADDRESSES
from .entry import BalenaConfigEntry
from .identity import DeviceIdentity, normalize_mac


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedDevice:
    """The answer of a device: its name and its MAC addresses."""

    name: str
    mac_addresses: list[str]

    @property
    def identity(self) -> DeviceIdentity:
        """The evidence of who the device is."""
        return DeviceIdentity.from_mac_addresses(self.mac_addresses)

    def is_of(self, entry: BalenaConfigEntry) -> bool:
        """Return whether an entry is known to be of this device."""
        return self.identity.is_same_as(identity_of(entry))

    def contradicts(self, entry: BalenaConfigEntry) -> bool:
        """Return whether an entry is known to be of another device."""
        return self.identity.contradicts(identity_of(entry))


def identity_of(entry: BalenaConfigEntry) -> DeviceIdentity:
    """Return the evidence that an entry stores about its device."""
    return DeviceIdentity.from_mac_addresses(entry.data.get(CONF_MAC_ADDRESSES, ()))


async def async_probe_device(
    hass: HomeAssistant, url: URL, api_key: str | None, *, verify_ssl: bool
) -> ProbedDevice:
    """Ask a device who it is. GET /v1/device.

    Raises:
        BalenaError: The device does not answer, or refuses the key.
    """
    session = async_get_clientsession(hass, verify_ssl)
    supervisor = Supervisor(DirectTransport(url, session, api_key))
    report = await supervisor.device()
    return ProbedDevice(
        name=await _name(supervisor),
        mac_addresses=[normalize_mac(address) for address in report.mac_addresses],
    )


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
