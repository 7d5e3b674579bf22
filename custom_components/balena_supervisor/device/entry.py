"""Runtime data of a config entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from yarl import URL

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr

from ..client import RequestLog
from ..const import DOMAIN
from .cloud_settings import CloudSettings
from .commands import DeviceCommands
from .coordinator import DeviceCoordinator
from .entities import DeviceEntities
from .logs import DeviceLogs
from .on_demand_reads import OnDemandReader
from .poll_statistics import PollStatistics
from .state import DeviceState, ServiceState


class BalenaDevice:
    """One device: its coordinator, its logs, its entities, and the commands and reads that it offers.

    Most devices are never commanded, so the parts for that are created when they are used.
    """

    def __init__(self, coordinator: DeviceCoordinator, logs: DeviceLogs) -> None:
        """Compose the device of a coordinator, with its logs."""
        self.coordinator = coordinator
        self.entities = DeviceEntities(self)
        self.logs = logs
        coordinator.async_listen(self.entities.async_update)

    @cached_property
    def cloud_settings(self) -> CloudSettings:
        """The settings that the balena API stores. Only a device of an account has them."""
        return CloudSettings(self.coordinator)

    @cached_property
    def commands(self) -> DeviceCommands:
        """The commands."""
        return DeviceCommands(self.coordinator)

    @cached_property
    def on_demand_reads(self) -> OnDemandReader:
        """The on-demand reads."""
        return OnDemandReader(self.coordinator)

    @property
    def device_id(self) -> str:
        """The id of the device in identifiers and unique ids."""
        return self.coordinator.device_id

    @property
    def name(self) -> str:
        """The name of the device in messages."""
        return self.coordinator.device_name

    @property
    def registry_id(self) -> str:
        """The id of the device in the device registry."""
        return self.coordinator.registry.device_entry_id

    @property
    def state(self) -> DeviceState:
        """The last known state of the device."""
        return self.coordinator.data

    @property
    def identifiers(self) -> set[tuple[str, str]]:
        """The identifiers of the device and of its existing services."""
        coordinator = self.coordinator
        state = coordinator.data if coordinator.last_update_success else None
        return coordinator.registry.identifiers(state)

    def find_service(self, identifier: str) -> ServiceState | None:
        """Return the service that has an identifier in the device registry, or None."""
        registry = self.coordinator.registry
        return next(
            (
                service
                for key, service in self.state.services.items()
                if registry.service_identifier(key)[1] == identifier
            ),
            None,
        )


class FleetPinner(Protocol):
    """Pins the fleets of an account to releases."""

    async def pin_release(self, fleet_id: int, release: str) -> None:
        """Pin a fleet to a release, given its version, commit or id. Raises HomeAssistantError."""
        ...


class Account(Protocol):
    """The account of an entry, as the rest of the integration uses it."""

    @property
    def fleet_identifiers(self) -> set[tuple[str, str]]:
        """The device identifiers of the existing fleets."""
        ...

    @property
    def poll_error(self) -> HomeAssistantError | None:
        """Why the last poll failed, or None if it is unknown or did not fail."""
        ...

    @property
    def request_log(self) -> RequestLog:
        """The log of the requests to the balena API."""
        ...

    @property
    def fleet_pins(self) -> FleetPinner:
        """Pins the fleets."""
        ...

    def fleet_of(self, identifiers: set[tuple[str, str]]) -> int | None:
        """Return the id of the fleet with a device identifier, or None."""
        ...

    def devices_of(self, fleet_id: int) -> Sequence[BalenaDevice]:
        """Return the devices of a fleet."""
        ...


@dataclass(frozen=True, slots=True)
class BalenaData:
    """Runtime data of an entry: its devices by id, and the account if it is one.

    The polls of an account add and remove its devices.
    """

    devices: Mapping[str, BalenaDevice]
    poll_statistics: PollStatistics
    account: Account | None = None


type BalenaConfigEntry = ConfigEntry[BalenaData]


def local_device_id(entry: BalenaConfigEntry) -> str:
    """Return the id of the device of an entry that is not an account.

    The device ids of an account begin with the unique id of its entry instead.
    """
    return entry.unique_id or entry.entry_id


def local_device_url(entry: BalenaConfigEntry) -> URL:
    """Return the URL of the local device of an entry, an empty one for other connections."""
    return URL(entry.data.get(CONF_URL, ""))


def find_device(
    entry: BalenaConfigEntry, registry_id: str | None
) -> BalenaDevice | None:
    """Return the loaded device of an entry with an id of the device registry, or None."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    devices = entry.runtime_data.devices.values()
    return next((item for item in devices if item.registry_id == registry_id), None)


def find_dashboard_page(hass: HomeAssistant, keys: frozenset[str]) -> str | None:
    """Return the page of a device in balenaCloud's dashboard, if a loaded account has the device.

    `keys` are those of its command queue, which all entries of the device share.
    """
    registry = dr.async_get(hass)
    entries: list[BalenaConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        if entry.runtime_data.account is None:
            continue
        for device in entry.runtime_data.devices.values():
            if not keys.isdisjoint(device.coordinator.history.keys):
                registered = registry.async_get(device.registry_id)
                if isinstance(registered, dr.DeviceEntry):
                    return registered.configuration_url
    return None


def fleet_identifier(entry: BalenaConfigEntry, fleet_id: int) -> tuple[str, str]:
    """Return the identifier of the device of a fleet of an account."""
    return DOMAIN, f"{entry.unique_id}_{fleet_id}"
