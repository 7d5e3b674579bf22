"""Announcements of devices in the network, as Home Assistant's zeroconf discovery reports them.

balenaOS announces every device as `_ssh._tcp` on port 22222, under its host name. Other
computers announce the same service on other ports. An announcement is a hint, never a proof:
anybody can announce any name and any address.
"""

from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final, NamedTuple, Self

from yarl import URL

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..client import BalenaError, DirectTransport, Supervisor
from ..const import DEFAULT_PORT, DOMAIN
from ..session import async_get_session

_SSH_PORT: Final = 22222
# A name with more addresses is not a device in a local network.
_MAX_ADDRESSES: Final = 4
# Networks inside of a device: of balenaOS, and the default ones of Docker. The same addresses
# exist on the machine that Home Assistant runs on, where they belong to other containers.
_INNER_NETWORKS: Final = (
    ip_network("10.114.104.0/24"),
    *(ip_network(f"172.{number}.0.0/16") for number in range(17, 32)),
)

_SHORT_UUID_LENGTH: Final = 7

_IGNORE_TIME: Final = timedelta(hours=1)
# A device that starts announces itself before its Supervisor answers.
_START_TIME: Final = timedelta(minutes=2)
# The name is not ignored any more by then, even if the timer fires slightly early.
RETRY_DELAY: Final = _START_TIME + timedelta(seconds=5)
_MAX_IGNORED_NAMES: Final = 256
# The time until which each name is ignored, the latest failure last.
_IGNORED_NAMES: Final[HassKey[dict[str, datetime]]] = HassKey(f"{DOMAIN}_ignored_names")


class Announcement(NamedTuple):
    """The host name of a device, and the IP addresses to look for it, IPv4 first."""

    hostname: str
    addresses: tuple[str, ...]

    @classmethod
    def from_service_info(cls, info: ZeroconfServiceInfo) -> Self | None:
        """Return the announcement, or None if it is not of a balena device."""
        if info.port != _SSH_PORT:
            return None
        addresses = sorted(
            filter(_is_usable, info.ip_addresses), key=lambda address: address.version
        )
        return cls(
            info.name.removesuffix(f".{info.type}").lower(),
            tuple(map(str, addresses[:_MAX_ADDRESSES])),
        )

    def is_of(self, uuid: str | None) -> bool:
        """Return whether the host name is the default one of the device with a uuid."""
        return uuid is not None and self.hostname == short_uuid(uuid)

    def is_at(self, url: URL) -> bool:
        """Return whether the host of a URL is one of the addresses or the host name."""
        host = (url.host or "").removesuffix(".").lower()
        names = {self.hostname, f"{self.hostname}.local"}
        return host in names or host in self.addresses


def short_uuid(uuid: str) -> str:
    """Return the first characters of a uuid, which are the default host name."""
    return uuid[:_SHORT_UUID_LENGTH]


async def async_find_supervisor(
    hass: HomeAssistant, announcement: Announcement
) -> URL | None:
    """Return the URL where a Supervisor answers, or None. GET /ping, without a key."""
    session = async_get_session(hass)
    for address in announcement.addresses:
        url = URL.build(scheme="http", host=address, port=DEFAULT_PORT)
        try:
            await Supervisor(DirectTransport(url, session)).ping()
        except BalenaError:
            continue
        return url
    return None


@callback
def async_ignore_temporarily(hass: HomeAssistant, announcement: Announcement) -> bool:
    """Ignore a name without a Supervisor for a while. Returns whether to retry.

    Home Assistant starts a flow with each announcement. After the retry, the name is ignored
    for an hour.
    """
    names = hass.data.setdefault(_IGNORED_NAMES, {})
    is_first = names.pop(announcement.hostname, None) is None
    is_full = len(names) >= _MAX_IGNORED_NAMES
    if is_full:
        del names[next(iter(names))]
    may_be_starting = is_first and not is_full
    ignore_time = _START_TIME if may_be_starting else _IGNORE_TIME
    names[announcement.hostname] = dt_util.utcnow() + ignore_time
    return may_be_starting


@callback
def async_is_ignored(hass: HomeAssistant, announcement: Announcement) -> bool:
    """Return whether a name is ignored."""
    until = hass.data.get(_IGNORED_NAMES, {}).get(announcement.hostname)
    return until is not None and dt_util.utcnow() < until


def _is_usable(address: IPv4Address | IPv6Address) -> bool:
    """Return whether a device in the network can have the address."""
    is_mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    return not (
        is_mapped
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or any(address in network for network in _INNER_NETWORKS)
    )
