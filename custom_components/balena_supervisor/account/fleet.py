"""A fleet of an account: its state and its device in the registry."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo

from ..client import Fleet, Release
from ..const import DASHBOARD_URL, MANUFACTURER
from ..device.entry import BalenaConfigEntry, fleet_identifier
from ..device.state import DeviceState, OverallStatus, release_label


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """Counts of the devices of a fleet. None means unknown.

    `target` is the release that the fleet tracks, and `release` its version or short commit.
    `tracks_latest` is whether that is the latest release, not one that it is pinned to. A
    device fails if its last update failed. `service_stopped` counts devices with a service
    that stopped unexpectedly; it is None without services.
    """

    devices: int | None = None
    disconnected: int | None = None
    failing: int | None = None
    online: int | None = None
    organization: str | None = None
    reduced_functionality: int | None = None
    release: str | None = None
    service_stopped: int | None = None
    target: Release | None = None
    tracks_latest: bool | None = None
    updating: int | None = None


def fleet_state_from_devices(
    fleet: Fleet,
    devices: Iterable[DeviceState],
    release: Release | None,
    *,
    has_services: bool,
) -> FleetState:
    """Return the state of a fleet from the states of its devices and the release that it tracks."""
    states = list(devices)
    statuses = Counter(state.overall_status for state in states)
    return FleetState(
        devices=len(states),
        disconnected=statuses[OverallStatus.DISCONNECTED],
        failing=sum(state.update_failed is True for state in states),
        online=sum(state.online for state in states),
        organization=fleet.organization,
        reduced_functionality=statuses[OverallStatus.REDUCED_FUNCTIONALITY],
        release=release_label(release.commit, release.version) if release else None,
        service_stopped=sum(map(_has_stopped_service, states))
        if has_services
        else None,
        target=release,
        tracks_latest=fleet.tracks_latest,
        updating=sum(state.is_updating for state in states),
    )


def _has_stopped_service(state: DeviceState) -> bool:
    return any(service.stopped_by_itself for service in state.services.values())


def registered_fleet_name(
    registry: dr.DeviceRegistry, entry: BalenaConfigEntry, fleet_id: int
) -> str:
    """Return the name of a fleet in the registry, or its id if it is not registered."""
    device = registry.async_get_device_by_identifier(
        fleet_identifier(entry, fleet_id), entry.entry_id
    )
    name = device and (device.name_by_user or device.name)
    return name or str(fleet_id)


class FleetRegistry:
    """The fleets of an account, and their devices in the registry."""

    def __init__(
        self, hass: HomeAssistant, entry: BalenaConfigEntry, *, has_dashboard: bool
    ) -> None:
        """Start without fleets."""
        self.fleets: dict[int, Fleet] = {}
        self._entry = entry
        self._has_dashboard = has_dashboard
        self._registered: dict[int, tuple[DeviceInfo, str]] = {}
        self._registry = dr.async_get(hass)

    def name(self, fleet_id: int) -> str:
        """Return the name of a fleet, or its id while the name is unknown."""
        fleet = self.fleets.get(fleet_id)
        return fleet.name if fleet else str(fleet_id)

    def registered_name(self, fleet_id: int) -> str:
        """Return the name of a fleet in the registry, also if the fleet is gone."""
        return registered_fleet_name(self._registry, self._entry, fleet_id)

    def registry_id(self, fleet_id: int) -> str | None:
        """Return the id of a fleet in the device registry, or None."""
        registered = self._registered.get(fleet_id)
        return registered[1] if registered else None

    def update(self, fleets: Iterable[Fleet], chosen: Iterable[int]) -> None:
        """Replace the fleets, and register the chosen ones that exist."""
        self.fleets = {fleet.id: fleet for fleet in fleets}
        for fleet_id in chosen:
            if (fleet := self.fleets.get(fleet_id)) is not None:
                self._register(fleet)

    def _register(self, fleet: Fleet) -> None:
        info = DeviceInfo(
            identifiers={fleet_identifier(self._entry, fleet.id)},
            configuration_url=(
                f"{DASHBOARD_URL}/fleets/{fleet.id}" if self._has_dashboard else None
            ),
            entry_type=DeviceEntryType.SERVICE,
            manufacturer=MANUFACTURER,
            model=fleet.device_type,
            name=fleet.name,
        )
        registered = self._registered.get(fleet.id)
        if registered is None or registered[0] != info:
            device = self._registry.async_get_or_create(
                config_entry_id=self._entry.entry_id, **info
            )
            self._registered[fleet.id] = (info, device.id)
