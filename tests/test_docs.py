"""The documentation: examples work, links are valid, and nothing is missing."""

import ast
from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from itertools import chain
from pathlib import Path
import re
from textwrap import dedent
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.condition import CONDITIONS
from custom_components.balena_supervisor.const import DOMAIN
from custom_components.balena_supervisor.trigger import TRIGGERS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, Device, SupervisorServer, Timings
from simulator.kiosks import KIOSKS

from .translations import FOLDER, TRANSLATIONS

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = {
    page.relative_to(ROOT).as_posix(): page.read_text("utf-8")
    for page in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}

# Every fenced block: its language and its text.
_FENCE: Final = re.compile(
    r"^[ \t]*```(.*?)\n(.*?)^[ \t]*```$", re.MULTILINE | re.DOTALL
)
BLOCKS: Final = {
    f"{page}:{number}": (language, text)
    for page, content in PAGES.items()
    for number, (language, text) in enumerate(_FENCE.findall(content), 1)
}
EXAMPLES: Final[dict[str, Any]] = {
    name: yaml.safe_load(text)
    for name, (language, text) in BLOCKS.items()
    if language == "yaml"
}


@pytest.fixture
def device() -> Device:
    """Return the local device of the examples, which is a kiosk of the demo."""
    (kiosk,) = (kiosk for kiosk in KIOSKS if kiosk.name == "kiosk-shop")
    return kiosk.make(Timings.instant())


def _with(key: str) -> dict[str, Any]:
    """Return the examples that have a key."""
    return {name: example for name, example in EXAMPLES.items() if key in example}


AUTOMATIONS: Final = _with("actions")
CARDS: Final = _with("type")
CONFIGURATIONS: Final = _with("logger") | _with("recorder")
DASHBOARDS: Final = _with("views") | _with("strategy")
FRAGMENTS: Final = _with("services")

# The cards of the integration, which are in the files of the frontend.
_OWN_CARDS: Final = {
    f"custom:{name}"
    for script in (FOLDER / "frontend").glob("*.js")
    for name in re.findall(r"\bbalena(?:-[a-z]+)*\b", script.read_text("utf-8"))
}
_KNOWN_CARDS: Final = _OWN_CARDS | {
    "button",
    "conditional",
    "entities",
    "entity-filter",
    "gauge",
    "glance",
    "grid",
    "heading",
    "history-graph",
    "horizontal-stack",
    "logbook",
    "markdown",
    "sections",
    "tile",
    "vertical-stack",
}


def test_blocks_are_checked() -> None:
    """Every block has a language, and a test below checks every YAML block."""
    languages = {language for language, _ in BLOCKS.values()}
    assert languages <= {"", "python", "sh", "yaml"}
    checked = chain(AUTOMATIONS, CARDS, CONFIGURATIONS, DASHBOARDS, FRAGMENTS)
    assert Counter(checked) == Counter(list(EXAMPLES))


@pytest.mark.parametrize("example", AUTOMATIONS.values(), ids=AUTOMATIONS)
async def test_automation(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    cloud_device: CloudDevice,
    example: dict[str, Any],
) -> None:
    """An example is a valid automation, and does what it says without an error."""
    # The examples call the devices of this area and under this label.
    area = ar.async_get(hass).async_create("Shop")
    label = lr.async_get(hass).async_create("Kiosks")
    registry = dr.async_get(hass)
    (item,) = dr.async_entries_for_config_entry(registry, loaded.entry_id)
    registry.async_update_device(item.id, area_id=area.id, labels={label.label_id})
    # That is where a state of one's own may be set.
    device.local_mode = "set_target_state" in str(example)
    for component in ("homeassistant", "persistent_notification"):
        assert await async_setup_component(hass, component, {})
    automation = {"alias": "example", "triggers": [], **example}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    server.requests.clear()
    await hass.services.async_call(
        "automation", "trigger", {"entity_id": "automation.example"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "automation.example"}, blocking=True
    )
    trace = hass.states.get("automation.example")
    assert trace is not None
    assert trace.attributes["last_triggered"] is not None
    is_question = re.search(r"\bget_|\.update_entity\b", str(example))
    assert cloud_device.device.commands or any(
        is_question or request.method != "GET" for request in server.requests
    )


async def test_entities_exist(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
    entity_registry: er.EntityRegistry,
) -> None:
    """Every entity of the examples exists on the devices of the tests."""
    named = set(
        re.findall(
            r"\b(?:binary_sensor|button|sensor|switch|update)\.kiosk\w+",
            str(EXAMPLES),
        )
    )
    assert named
    assert named <= set(entity_registry.entities)


@pytest.mark.parametrize("example", FRAGMENTS.values(), ids=FRAGMENTS)
def test_compose(example: dict[str, Any]) -> None:
    """A fragment of a docker-compose.yml gives a service access to the Supervisor."""
    assert set(example) == {"services"}
    for service in example["services"].values():
        assert service["labels"] == {"io.balena.features.supervisor-api": "1"}


@pytest.mark.parametrize("example", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_configuration(example: dict[str, Any]) -> None:
    """A fragment of a configuration.yaml is valid."""
    for component in example:
        assert import_module(f"homeassistant.components.{component}").CONFIG_SCHEMA(
            example
        )


def _types(value: Any) -> Iterable[str]:
    """Yield the types of a card and its cards, or of the strategy and cards of a dashboard."""
    if isinstance(value, list):
        yield from chain.from_iterable(map(_types, value))
    if isinstance(value, dict):
        yield from [value["type"]] if "type" in value else []
        inner = ("card", "cards", "sections", "strategy", "views")
        yield from chain.from_iterable(_types(value.get(name)) for name in inner)


@pytest.mark.parametrize(
    "example", (CARDS | DASHBOARDS).values(), ids=CARDS | DASHBOARDS
)
def test_cards(example: dict[str, Any]) -> None:
    """Cards and strategies belong to Home Assistant or to the integration."""
    types = set(_types(example))
    assert types
    assert types <= _KNOWN_CARDS


def test_python() -> None:
    """Python blocks compile."""
    blocks = [text for language, text in BLOCKS.values() if language == "python"]
    assert blocks
    for text in blocks:
        ast.parse(dedent(text))


def test_everything_has_an_example() -> None:
    """Every action, trigger and condition has an example."""
    examples = str(AUTOMATIONS)
    for name in (*ACTIONS, *TRIGGERS, *CONDITIONS):
        assert f"'{DOMAIN}.{name}'" in examples, name


def _prose(page: str) -> str:
    """Return a page without its code."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", PAGES[page]))


def _links(page: str) -> list[str]:
    """Return the targets of the links and images of a page."""
    return re.findall(r"\]\(([^)\s]+)\)", _prose(page))


def _anchors(page: str) -> set[str]:
    """Return the anchors that GitHub creates for the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", PAGES[page]), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def _inner_links(page: str) -> list[tuple[str, str]]:
    """Return the paths, relative to the root, and the anchors of the internal links of a page."""
    inner = [link for link in _links(page) if not link.startswith("https://")]
    parts = [link.partition("#") for link in inner]
    folder = (ROOT / page).parent
    return [
        (
            (folder / path).resolve().relative_to(ROOT).as_posix() if path else page,
            anchor,
        )
        for path, _, anchor in parts
    ]


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    """Every internal link leads to an existing file and heading."""
    for path, anchor in _inner_links(page):
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in _anchors(path), f"{path}#{anchor}"


def test_pictures_are_shown_and_small() -> None:
    """A page shows each picture, and all of them together are small enough to clone."""
    pictures = {path.name: path for path in (ROOT / "docs/images").glob("*.png")}
    linked = {Path(link).name for page in PAGES for link in _links(page)}
    assert set(pictures) <= linked
    assert sum(path.stat().st_size for path in pictures.values()) < 2_500_000


def test_every_page_is_reachable() -> None:
    """Every page can be reached from the README."""
    reached: set[str] = set()
    coming = {"README.md"}
    while coming:
        reached |= coming
        linked = {path for page in coming for path, _ in _inner_links(page)}
        coming = (linked & set(PAGES)) - reached
    assert reached == set(PAGES)


def _cells(page: str) -> list[list[str]]:
    """Return the rows of the tables of a page, each as a list of cells."""
    rows = re.findall(r"^\| ?(.*) \|$", PAGES[page], re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows]


def _names(texts: Any) -> list[str]:
    return [text["name"] for text in texts.values()]


def test_entities_are_documented() -> None:
    """The page of entities has a row for each entity."""
    names = Counter(chain.from_iterable(map(_names, TRANSLATIONS["entity"].values())))
    # Home Assistant names this entity.
    names["Identify"] += 1
    rows = Counter(row[0].strip("*") for row in _cells("docs/entities.md"))
    assert not names - rows


@pytest.mark.parametrize("sensor", ["status", "update_status", "overall_status"])
def test_states_are_documented(sensor: str) -> None:
    """The page of entities explains every state of a sensor."""
    rows = {row[0] for row in _cells("docs/entities.md")}
    explained = set(chain.from_iterable(row.split(", ") for row in rows))
    assert set(TRANSLATIONS["entity"]["sensor"][sensor]["state"].values()) <= explained


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_documented(name: str) -> None:
    """The pages of actions list each action with its fields, and whether it requires an administrator."""
    action = ACTIONS[name]
    rows = _cells("docs/actions.md")
    heads = [row[0].replace("`", "") for row in rows]
    assert name + " *" * action.is_admin_only in heads
    fields = {row[0] for row in chain(rows, _cells("docs/logs.md"))}
    explained = set(chain.from_iterable(cell.split(", ") for cell in fields))
    assert {f"`{field}`" for field in action.fields} <= explained


@pytest.mark.parametrize(
    ("kind", "names"), [("triggers", TRIGGERS), ("conditions", CONDITIONS)]
)
def test_triggers_and_conditions_are_documented(
    kind: str, names: dict[str, Any]
) -> None:
    """The page of automations lists each trigger and condition by its name in the editor."""
    rows = {row[0]: row[1] for row in _cells("docs/automations.md")}
    documented = {
        f"`{DOMAIN}.{name}`": TRANSLATIONS[kind][name]["name"] for name in names
    }
    assert documented.items() <= rows.items()


@pytest.mark.parametrize(
    ("step", "page"),
    [
        ("direct", "docs/installation.md"),
        ("account", "docs/accounts.md"),
        ("fleets", "docs/accounts.md"),
    ],
)
def test_fields_of_flows_are_documented(step: str, page: str) -> None:
    """The setup pages explain each field by its name."""
    texts = TRANSLATIONS["config"]["step"][step]
    rows = {row[0] for row in _cells(page)}
    for part in (texts, *texts.get("sections", {}).values()):
        assert set(part["data"].values()) <= rows


# What stands in these texts is all that there is to say.
_SPEAK_FOR_THEMSELVES: Final = {
    "abort.address_changed",
    "abort.already_configured",
    "abort.already_configured_as",
    "abort.already_in_progress",
    "abort.not_balena_device",
    "abort.reauth_successful",
    "abort.reconfigure_successful",
    "error.api_failed",
    "error.insecure_address",
    "error.invalid_address",
    "error.no_fleet_chosen",
    "error.no_fleets",
    "error.supervisor_error",
    "exceptions.device_gone",
    "exceptions.empty_fleet",
    "exceptions.apps_malformed",
    "exceptions.field_conflict",
    "exceptions.field_missing",
    "exceptions.fleet_not_chosen",
    "exceptions.many_failed",
    "exceptions.nothing_to_change",
    "exceptions.removes_all_apps",
    "exceptions.until_before_since",
    "exceptions.locked_by_supervisor",
    "exceptions.logs_ended",
    "exceptions.logs_rebooting",
    "exceptions.logs_shutting_down",
    "exceptions.logs_updating",
    "exceptions.logs_unloaded",
    "exceptions.not_a_device",
    "exceptions.not_in_local_mode",
    "exceptions.not_of_balena",
    "exceptions.nothing_chosen",
    "exceptions.service_needed",
    "exceptions.service_without_device",
    "exceptions.several_failed",
    "exceptions.target_gone",
    "exceptions.wrong_entity",
    "exceptions.unknown_device",
}
MESSAGES: Final = {
    **{f"abort.{key}": text for key, text in TRANSLATIONS["config"]["abort"].items()},
    **{f"error.{key}": text for key, text in TRANSLATIONS["config"]["error"].items()},
    **{
        f"exceptions.{key}": text["message"]
        for key, text in TRANSLATIONS["exceptions"].items()
    },
    **{f"issues.{key}": text["title"] for key, text in TRANSLATIONS["issues"].items()},
}


def test_messages_are_explained() -> None:
    """Troubleshooting quotes every message that needs an explanation, and only existing messages."""
    quotes = [
        quote
        for row in _cells("docs/troubleshooting.md")
        for quote in re.findall(r"“(.+?)”", row[0])
    ]
    explained = {
        quote: {
            key
            for key, text in MESSAGES.items()
            if re.search(re.escape(quote).replace("…", ".+"), text)
        }
        for quote in quotes
    }
    assert all(explained.values())
    keys = set().union(*explained.values())
    assert keys | _SPEAK_FOR_THEMSELVES == set(MESSAGES)
    assert not keys & _SPEAK_FOR_THEMSELVES
