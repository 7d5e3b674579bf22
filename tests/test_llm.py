"""Language models get tools that return data about what is exposed, and nothing else."""

from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.voice.tools import PAGE_SIZE, RebootTool
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    llm,
)
from homeassistant.setup import async_setup_component
from simulator import RECORDED_NEXT_RELEASE, App, CloudServer, Device, Fleet

from . import pass_time

REBOOT: Final = "button.holy_wildflower_reboot"
ONLINE: Final = "binary_sensor.holy_wildflower_online"
RELEASE: Final = "update.holy_wildflower_release"
MAIN: Final = "switch.holy_wildflower_main_running"
READING: Final = {
    "BalenaGetDevice",
    "BalenaGetDevices",
    "BalenaGetFleets",
    "BalenaGetProblems",
    "BalenaGetReleases",
}
ACTING: Final = {
    "BalenaIdentify",
    "BalenaInstallUpdate",
    "BalenaReboot",
    "BalenaRestartService",
    "BalenaStartService",
}


@pytest.fixture(autouse=True)
async def _assist(hass: HomeAssistant) -> None:
    """Set up the integrations that serve language models."""
    for component in ("homeassistant", "conversation", "llm"):
        assert await async_setup_component(hass, component, {})


async def api(hass: HomeAssistant, language: str = "*") -> llm.APIInstance:
    """Return the API of language models."""
    context = llm.LLMContext(
        platform="test",
        context=Context(),
        language=language,
        assistant="conversation",
        device_id=None,
    )
    return await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)


async def tools(hass: HomeAssistant) -> dict[str, llm.Tool]:
    """Return the tools of the integration by name, without its prefix."""
    prefix = f"{DOMAIN}__"
    return {
        tool.name.removeprefix(prefix): tool
        for tool in (await api(hass)).tools
        if tool.name.startswith(prefix)
    }


async def call(
    hass: HomeAssistant, name: str, language: str = "*", **arguments: Any
) -> dict[str, Any]:
    """Call a tool and return its data."""
    instance = await api(hass, language)
    result = await instance.async_call_tool(
        llm.ToolInput(f"{DOMAIN}__{name}", arguments)
    )
    # Before 2026.10, a tool returns its data.
    data: dict[str, Any] = getattr(result, "data", result)
    return data


def expose(hass: HomeAssistant, *entity_ids: str) -> None:
    """Expose entities to assistants."""
    for entity_id in entity_ids:
        async_expose_entity(hass, "conversation", entity_id, True)


def expose_all(
    hass: HomeAssistant, entry: MockConfigEntry, *, value: bool = True
) -> None:
    """Expose all entities of an entry, or none."""
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        async_expose_entity(hass, "conversation", entity.entity_id, value)


@pytest.fixture
async def kiosks(
    hass: HomeAssistant,
    cloud: CloudServer,
    fleet: Fleet,
    account_entry: MockConfigEntry,
) -> MockConfigEntry:
    """Return an account with three exposed devices: one is offline, one has an update."""
    devices = {
        name: cloud.make_device(fleet, name) for name in ("kiosk-1", "kiosk-2", "spare")
    }
    await devices["kiosk-2"].device.power_off()
    devices["spare"].pinned = RECORDED_NEXT_RELEASE
    assert await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose_all(hass, account_entry)
    return account_entry


async def test_nothing_exposed(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Without an exposed entity, the API contains neither tools nor device names."""
    expose_all(hass, loaded, value=False)
    assert not await tools(hass)
    assert "holy-wildflower" not in (await api(hass)).api_prompt


async def test_no_assistant(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A request without an assistant gets no tools: nothing can be exposed to it."""
    expose_all(hass, loaded)
    context = llm.LLMContext(
        platform="test",
        context=Context(),
        language="*",
        assistant=None,
        device_id=None,
    )
    instance = await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)
    assert not [tool for tool in instance.tools if tool.name.startswith(DOMAIN)]
    assert "holy-wildflower" not in instance.api_prompt


async def test_options_do_not_concern_language_models(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """The options for voice offer no tool for what is not exposed."""
    options = {"voice_questions": True, "voice_commands": True}
    hass.config_entries.async_update_entry(loaded, options=options)
    expose_all(hass, loaded, value=False)
    assert not await tools(hass)


async def test_tools_for_exposed_entities(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """An exposed entity adds the tools that can use it."""
    expose_all(hass, loaded, value=False)
    expose(hass, REBOOT)
    assert set(await tools(hass)) == READING | {"BalenaReboot"}


async def test_tools(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """No tool stops a service, shuts down or purges."""
    expose_all(hass, loaded)
    assert set(await tools(hass)) == READING | ACTING


@pytest.mark.skipif(
    not hasattr(llm, "ToolAnnotations"),
    reason="Annotations of tools exist since Home Assistant 2026.10",
)
async def test_annotations(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Tools that read are marked as such, and those that interrupt as destructive."""
    expose_all(hass, loaded)
    annotations = {
        name: (
            tool.annotations.read_only,
            tool.annotations.destructive,
            tool.annotations.idempotent,
        )
        for name, tool in (await tools(hass)).items()
    }
    assert annotations == dict.fromkeys(READING, (True, False, True)) | {
        "BalenaIdentify": (False, False, True),
        "BalenaInstallUpdate": (False, True, False),
        "BalenaReboot": (False, True, False),
        "BalenaRestartService": (False, True, False),
        "BalenaStartService": (False, False, True),
    }


async def test_prompt(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """The prompt has the names of the devices of which something is exposed."""
    expose(hass, ONLINE)
    assert "balena devices: holy-wildflower" in (await api(hass)).api_prompt


async def test_names_in_prompt_are_limited(
    hass: HomeAssistant,
    cloud: CloudServer,
    fleet: Fleet,
    account_entry: MockConfigEntry,
) -> None:
    """The prompt names as many devices as fit, and the tool that has the others."""
    for number in range(60):
        cloud.make_device(fleet, f"kiosk-with-a-rather-long-name-{number:02}")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose_all(hass, account_entry)
    prompt = (await api(hass)).api_prompt
    line = next(line for line in prompt.splitlines() if line.startswith("balena"))
    assert line.endswith(f"name-28 (31 more: {DOMAIN}__BalenaGetDevices)")


async def test_facts(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A model gets the facts about a device, its services and its problems."""
    expose_all(hass, loaded)
    facts = await call(hass, "BalenaGetDevice", device="Holy Wildflower")
    assert facts["name"] == "holy-wildflower"
    assert facts["online"] is True
    assert facts["os_version"] == "balenaOS 6.5.4"
    assert [item["name"] for item in facts["services"]] == ["main", "redis"]
    assert facts["problems"] == []


async def test_update_lock(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A model learns which service holds an update lock."""
    expose_all(hass, loaded)
    device.lock()
    await call(hass, "BalenaReboot", device="holy-wildflower")
    facts = await call(hass, "BalenaGetDevice", device="holy-wildflower")
    assert facts["update_lock"]["service"] == "main"
    assert facts["problems"] == [{"kind": "update_locked"}]


async def test_facts_that_are_not_exposed(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """A fact is missing if no entity that shows it is exposed."""
    expose_all(hass, loaded, value=False)
    expose(hass, ONLINE)
    facts = await call(hass, "BalenaGetDevice", device="holy-wildflower")
    assert facts == {
        "name": "holy-wildflower",
        "area": None,
        "fleet": None,
        "online": True,
        "services": [],
        "problems": [],
    }


async def test_service_that_is_not_exposed(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    """A service is missing if none of its entities is exposed."""
    expose_all(hass, loaded, value=False)
    expose(hass, MAIN)
    facts = await call(hass, "BalenaGetDevice", device="holy-wildflower")
    assert facts["services"] == [
        {"name": "main", "running": True, "stopped_by_itself": False}
    ]


async def test_offline_device(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """An offline device has no live facts, and that it is offline is its only problem."""
    facts = await call(hass, "BalenaGetDevice", device="kiosk 2")
    assert facts["online"] is False
    assert facts["vpn_connected"] is None
    assert facts["problems"] == [{"kind": "offline"}]


async def test_counts(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A model gets the number of devices by state."""
    counts = (await call(hass, "BalenaGetDevices"))["counts"]
    assert counts == {
        "devices": 3,
        "online": 2,
        "offline": 1,
        "unknown": 0,
        "with_update": 1,
        "with_problem": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"state": "offline"}, ["kiosk-2"]),
        ({"with_update": True}, ["spare"]),
        ({"fleet": "kiosks"}, ["kiosk-1", "kiosk-2", "spare"]),
        ({"area": "Lobby"}, ["kiosk-1"]),
        ({"state": "online", "area": ""}, ["kiosk-1", "spare"]),
        ({"fleet": None, "state": "unknown"}, []),
    ],
    ids=str,
)
async def test_filters(
    hass: HomeAssistant,
    kiosks: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    area_registry: ar.AreaRegistry,
    arguments: dict[str, Any],
    names: list[str],
) -> None:
    """A model can ask for the devices of a fleet, an area or a state."""
    area = area_registry.async_create("Lobby")
    devices = dr.async_entries_for_config_entry(device_registry, kiosks.entry_id)
    kiosk = next(device for device in devices if device.name == "kiosk-1")
    device_registry.async_update_device(kiosk.id, area_id=area.id)
    found = await call(hass, "BalenaGetDevices", **arguments)
    assert [item["name"] for item in found["devices"]] == names


async def test_pages(
    hass: HomeAssistant,
    cloud: CloudServer,
    fleet: Fleet,
    account_entry: MockConfigEntry,
) -> None:
    """A result has at most one page, the number of all devices, and the next offset."""
    for number in range(PAGE_SIZE + 2):
        cloud.make_device(fleet, f"kiosk-{number:02}")
    await hass.config_entries.async_setup(account_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose_all(hass, account_entry)
    first = await call(hass, "BalenaGetDevices")
    assert (first["total"], len(first["devices"])) == (PAGE_SIZE + 2, PAGE_SIZE)
    last = await call(hass, "BalenaGetDevices", offset=first["next_offset"])
    assert [item["name"] for item in last["devices"]] == ["kiosk-50", "kiosk-51"]
    assert "next_offset" not in last


async def test_fleets(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A model gets the fleets with the counts of their devices."""
    (fleet,) = (await call(hass, "BalenaGetFleets"))["fleets"]
    assert (fleet["fleet"], fleet["devices"], fleet["offline"]) == ("kiosks", 3, 1)


async def test_counts_leave_out_what_is_not_exposed(
    hass: HomeAssistant, kiosks: MockConfigEntry
) -> None:
    """Counts contain only devices that are exposed."""
    expose_all(hass, kiosks, value=False)
    expose(hass, "binary_sensor.kiosk_1_online")
    (fleet,) = (await call(hass, "BalenaGetFleets"))["fleets"]
    assert (fleet["devices"], fleet["online"], fleet["offline"]) == (1, 1, 0)


async def test_releases(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A model gets the releases with the devices that run them."""
    releases = (await call(hass, "BalenaGetReleases"))["releases"]
    assert [(item["release"], item["count"]) for item in releases] == [
        ("2.4.1", 1),
        ("2.4.1", 2),
    ]
    assert [item["devices"] for item in releases] == [["spare"], ["kiosk-1", "kiosk-2"]]


async def test_problems(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A model gets the problems of all devices."""
    problems = (await call(hass, "BalenaGetProblems"))["problems"]
    assert problems == [
        {"name": "kiosk-2", "area": None, "fleet": "kiosks", "kind": "offline"}
    ]


async def test_problem_that_is_not_exposed(
    hass: HomeAssistant, kiosks: MockConfigEntry
) -> None:
    """A problem is missing if no entity that shows it is exposed."""
    async_expose_entity(hass, "conversation", "binary_sensor.kiosk_2_online", False)
    assert (await call(hass, "BalenaGetProblems"))["problems"] == []


@pytest.mark.parametrize(
    ("is_exposed", "services"), [(True, ["redis"]), (False, [])], ids=str
)
async def test_stopped_service(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    loaded: MockConfigEntry,
    device: Device,
    is_exposed: bool,
    services: list[str],
) -> None:
    """A service that stopped by itself is a problem, if it is exposed."""
    expose_all(hass, loaded, value=False)
    expose(hass, ONLINE)
    redis = "switch.holy_wildflower_redis_running"
    async_expose_entity(hass, "conversation", redis, is_exposed)
    device.container_exit("redis")
    await pass_time(hass, freezer)
    await pass_time(hass, freezer, 61)
    problems = (await call(hass, "BalenaGetProblems"))["problems"]
    assert [problem["service"] for problem in problems] == services


async def test_device_off_since_the_start(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """Nothing is known of a device that was off when Home Assistant started, except that it exists."""
    expose_all(hass, loaded)
    await device.power_off()
    await hass.config_entries.async_reload(loaded.entry_id)
    assert (await call(hass, "BalenaGetDevices"))["counts"]["unknown"] == 1
    facts = await call(hass, "BalenaGetDevice", device="holy wildflower")
    assert (facts["online"], facts["problems"]) == (None, [])


@pytest.mark.expects_log("Error fetching")
async def test_unreachable_account(
    hass: HomeAssistant, kiosks: MockConfigEntry, cloud: CloudServer
) -> None:
    """While an account cannot be reached, its devices are unknown and not without updates."""
    await cloud.stop()
    coordinators = {
        device.coordinator for device in kiosks.runtime_data.devices.values()
    }
    await kiosks.runtime_data.account.async_refresh()
    assert {coordinator.is_online for coordinator in coordinators} == {None}
    counts = (await call(hass, "BalenaGetDevices"))["counts"]
    assert (counts["unknown"], counts["with_update"]) == (3, 0)


async def test_unexposed_device_is_not_confirmed(
    hass: HomeAssistant, kiosks: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """A device that is not exposed gets the same answer as one that does not exist."""
    for entity in er.async_entries_for_config_entry(entity_registry, kiosks.entry_id):
        is_exposed = "spare" not in entity.entity_id
        async_expose_entity(hass, "conversation", entity.entity_id, is_exposed)
    hidden = await call(hass, "BalenaReboot", device="spare")
    invented = await call(hass, "BalenaReboot", device="absent")
    assert hidden == {
        "error": "unknown_device",
        "message": "No exposed device is called spare.",
        "similar": [],
    }
    assert str(hidden) == str(invented).replace("absent", "spare")


async def test_unknown_device(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A misheard name gets the similar names that are exposed."""
    error = await call(hass, "BalenaGetDevice", device="kiosk 3")
    assert error["error"] == "unknown_device"
    assert error["similar"] == ["kiosk-2", "kiosk-1"]


async def test_several_devices(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """A name that matches several devices gets all of them, and nothing happens."""
    error = await call(hass, "BalenaReboot", device="kiosk")
    assert error["error"] == "several_devices"
    assert [item["name"] for item in error["devices"]] == ["kiosk-1", "kiosk-2"]


async def test_unknown_fleet(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """An unknown fleet gets the fleets that exist."""
    error = await call(hass, "BalenaGetDevices", fleet="gateways")
    assert (error["error"], error["fleets"]) == ("unknown_fleet", ["kiosks"])


async def test_unknown_area(hass: HomeAssistant, kiosks: MockConfigEntry) -> None:
    """An area without an exposed device is not an empty result."""
    error = await call(hass, "BalenaGetDevices", area="attic")
    assert error["error"] == "unknown_area"


async def test_several_services(
    hass: HomeAssistant, entry: MockConfigEntry, device: Device, second_app: App
) -> None:
    """A name that matches services of two apps gets their full names, and nothing happens."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose_all(hass, entry)
    arguments = {"device": "holy-wildflower", "service": "main"}
    error = await call(hass, "BalenaRestartService", **arguments)
    assert error["error"] == "several_services"
    assert error["services"] == ["addons main", "demo-fleet main"]
    assert not device.commands


async def test_command(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A tool sends the command."""
    expose(hass, REBOOT)
    result = await call(hass, "BalenaReboot", device="holy wildflower")
    assert result == {"device": "holy-wildflower", "result": "accepted"}
    assert device.commands == [("reboot", {"force": False})]


async def test_command_for_service(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A tool sends the command for a service."""
    expose_all(hass, loaded)
    arguments = {"device": "holy-wildflower", "service": "redis"}
    result = await call(hass, "BalenaRestartService", **arguments)
    assert result["result"] == "accepted"
    assert [name for name, _ in device.commands] == ["restart_service"]


async def test_command_that_is_not_exposed(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """A tool sends no command to a service that is not exposed."""
    expose_all(hass, loaded, value=False)
    expose(hass, "button.holy_wildflower_main_restart")
    arguments = {"device": "holy-wildflower", "service": "redis"}
    error = await call(hass, "BalenaRestartService", **arguments)
    assert (error["error"], error["services"]) == ("unknown_service", ["main"])
    assert not device.commands


async def test_nothing_to_install(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """Without an update, nothing is sent."""
    expose(hass, RELEASE)
    result = await call(hass, "BalenaInstallUpdate", device="holy-wildflower")
    assert result["reason"] == "up_to_date"
    assert not device.commands


async def test_action_that_is_not_exposed(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device
) -> None:
    """An exposed device does not accept an action whose entity is not exposed."""
    expose_all(hass, loaded, value=False)
    expose(hass, ONLINE)
    instance = await api(hass)
    tool = RebootTool()
    result = await tool.async_call(
        hass,
        llm.ToolInput(tool.name, {"device": "holy-wildflower"}),
        instance.llm_context,
    )
    data: Any = getattr(result, "data", result)
    assert data["error"] == "not_exposed"
    assert not device.commands


async def test_update_that_is_being_installed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    kiosks: MockConfigEntry,
    fleet: Fleet,
) -> None:
    """An update that is being installed is not sent again."""
    spare = fleet.devices[2].device
    spare.begin_update(RECORDED_NEXT_RELEASE)
    spare.download(40)
    await pass_time(hass, freezer, 61)
    result = await call(hass, "BalenaInstallUpdate", device="spare")
    assert result["reason"] == "already_installing"
    assert not spare.commands


async def test_slow_command(
    hass: HomeAssistant, kiosks: MockConfigEntry, slow_reboot: None
) -> None:
    """A command that takes long continues after the result."""
    result = await call(hass, "BalenaReboot", device="kiosk-1")
    assert result == {"device": "kiosk-1", "result": "no_answer_yet"}
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_command_for_offline_device(
    hass: HomeAssistant, kiosks: MockConfigEntry
) -> None:
    """A command for an offline device fails with the reason."""
    error = await call(hass, "BalenaReboot", device="kiosk-2")
    assert error["error"] == "unreachable"


@pytest.mark.parametrize(
    ("configured", "requested", "expected"),
    [
        ("en", "*", "holds an update lock"),
        ("de", "*", "hält eine Update-Sperre"),
        ("de", "xx", "hält eine Update-Sperre"),
        ("de", "en", "holds an update lock"),
    ],
)
async def test_language_of_errors(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    configured: str,
    requested: str,
    expected: str,
) -> None:
    """An error is in the language of the request, or in Home Assistant's."""
    hass.config.language = configured
    expose(hass, REBOOT)
    device.lock()
    error = await call(hass, "BalenaReboot", requested, device="holy-wildflower")
    assert error["error"] == "failed"
    assert expected in error["message"]
