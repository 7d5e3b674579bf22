"""Tests of the migration of entries that need the database."""

import logging

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.models import (
    StatisticMeanType,
    StatisticMetaData,
)
from homeassistant.components.recorder.statistics import (
    async_import_statistics,
    async_list_statistic_ids,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from simulator import Fleet


@pytest.fixture(autouse=True)
def _loopback(
    recorder_mock: Recorder,
    socket_enabled: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Start the recorder before Home Assistant, and silence its debug logs."""
    for logger in ("homeassistant.components.recorder", "sqlalchemy.engine"):
        caplog.set_level(logging.WARNING, logger)


async def test_unit_of_counts(
    hass: HomeAssistant,
    account_entry: MockConfigEntry,
    fleet: Fleet,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """The statistics of a fleet continue although its counts have no unit any more."""
    assert await async_setup_component(hass, "sensor", {})
    hass.config_entries.async_update_entry(account_entry, minor_version=1)
    identifier = f"{account_entry.unique_id}_{fleet.id}"
    device = device_registry.async_get_or_create(
        config_entry_id=account_entry.entry_id, identifiers={(DOMAIN, identifier)}
    )
    count = entity_registry.async_get_or_create(
        "sensor",
        DOMAIN,
        f"{identifier}_devices_failing",
        config_entry=account_entry,
        device_id=device.id,
        object_id_base="Devices failing",
        unit_of_measurement="devices",
    )
    statistics = StatisticMetaData(
        has_sum=False,
        mean_type=StatisticMeanType.ARITHMETIC,
        name=None,
        source="recorder",
        statistic_id=count.entity_id,
        unit_class=None,
        unit_of_measurement="devices",
    )
    async_import_statistics(hass, statistics, [])
    await async_wait_recording_done(hass)
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await async_wait_recording_done(hass)
    (listed,) = await async_list_statistic_ids(hass, {count.entity_id})
    assert listed["statistics_unit_of_measurement"] is None
    state = hass.states.get(count.entity_id)
    assert state is not None
    assert "unit_of_measurement" not in state.attributes
