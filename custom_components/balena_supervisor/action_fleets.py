"""Find the fleets that an action changes as a whole, not device by device."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, service as service_helper

from .action_schemas import Action
from .const import DOMAIN
from .device.entry import BalenaConfigEntry


class FleetTarget(NamedTuple):
    """A fleet on which an action is called. `call` takes the fields of the action."""

    registry_id: str
    entry_id: str
    name: str
    call: Callable[..., Awaitable[object]]


@callback
def async_split_fleets(
    hass: HomeAssistant, action: Action, device_ids: Iterable[str]
) -> tuple[list[FleetTarget], list[str]]:
    """Return the fleets that an action changes as a whole, and the ids of all other devices."""
    fleets: dict[str, FleetTarget] = {}
    others: list[str] = []
    for device_id in device_ids:
        if (fleet := _find_fleet(hass, action, device_id)) is not None:
            fleets[device_id] = fleet
        else:
            others.append(device_id)
    return list(fleets.values()), others


def _find_fleet(
    hass: HomeAssistant, action: Action, device_id: str
) -> FleetTarget | None:
    device = dr.async_get(hass).async_get(device_id)
    if action.fleet_handler is None or not isinstance(device, dr.DeviceEntry):
        return None
    if device.entry_type is not dr.DeviceEntryType.SERVICE:
        return None
    entry: BalenaConfigEntry
    device, entry = service_helper.async_get_device_and_config_entry(
        hass, DOMAIN, device_id
    )
    account = entry.runtime_data.account
    fleet_id = account.fleet_of(device.identifiers) if account else None
    if account is None or fleet_id is None:
        return None
    name = device.name_by_user or device.name or str(fleet_id)
    handler = partial(action.fleet_handler(account), fleet_id)
    return FleetTarget(device.id, entry.entry_id, name, handler)
