"""Every string that a user sees has a translation, and every translation is used."""

import json
from pathlib import Path
import re
from types import FunctionType
from typing import Any, Final

import pytest
import voluptuous as vol
import yaml

from custom_components.balena_supervisor import (
    binary_sensor,
    button,
    const,
    device_tracker,
    select,
    sensor,
    switch,
    update,
)
from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.client import Endpoint
from custom_components.balena_supervisor.device.log_streams import (
    OUTAGE_TRANSLATION_KEYS,
)
from custom_components.balena_supervisor.device.state import (
    Connectivity,
    OverallStatus,
    Status,
    UpdateStatus,
)
from custom_components.balena_supervisor.exceptions import (
    _ACCOUNT_REASON_TRANSLATION_KEYS,
    _ACCOUNT_TRANSLATION_KEYS,
    _DEVICE_TRANSLATION_KEYS,
    _LOCK_TRANSLATION_KEYS,
    _REASON_TRANSLATION_KEYS,
    _RESULTS,
)
from custom_components.balena_supervisor.flow_helpers import (
    _ACCOUNT_ERRORS,
    _DEVICE_ERRORS,
)
from homeassistant.config_entries import ConfigEntriesFlowManager
from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from . import translations
from .translations import missing_in_flow

OWN_DOMAIN: Final = {"translation_domain": const.DOMAIN}
FOLDER: Final = Path(sensor.__file__).parent
TRANSLATIONS: Final[dict[str, Any]] = json.loads(
    (FOLDER / "translations/en.json").read_text("utf-8")
)
ICONS: Final[dict[str, Any]] = json.loads((FOLDER / "icons.json").read_text("utf-8"))
SOURCE: Final = "\n".join(path.read_text("utf-8") for path in FOLDER.rglob("*.py"))

DESCRIPTIONS: Final = {
    "binary_sensor": (*binary_sensor.BINARY_SENSORS, binary_sensor.ONLINE),
    "button": (*button.BUTTONS, button.OVERRIDE_LOCK, *button.SERVICE_BUTTONS),
    "device_tracker": device_tracker.TRACKERS,
    "sensor": (*sensor.SENSORS, *sensor.SERVICE_SENSORS, *sensor.FLEET_SENSORS),
    "select": (*select.SELECTS, *select.FLEET_SELECTS),
    "switch": (*switch.SWITCHES, *switch.SERVICE_SWITCHES),
    "update": update.UPDATES,
}


@pytest.mark.parametrize(("platform", "descriptions"), DESCRIPTIONS.items())
def test_entities_have_names(platform: str, descriptions: tuple[Any, ...]) -> None:
    """Every entity has a name, or the name of its device class."""
    keys = {item.translation_key for item in descriptions} - {None}
    assert keys == set(TRANSLATIONS["entity"][platform])


@pytest.mark.parametrize(("platform", "descriptions"), DESCRIPTIONS.items())
def test_entities_have_icons(platform: str, descriptions: tuple[Any, ...]) -> None:
    """Every entity without a device class has an icon."""
    keys = {
        item.translation_key
        for item in descriptions
        if item.device_class is None and platform != "update"
    }
    assert keys <= set(ICONS["entity"].get(platform, {}))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("status", Status),
        ("service_status", Status),
        ("update_status", UpdateStatus),
        ("overall_status", OverallStatus),
        ("connectivity", Connectivity),
    ],
)
def test_statuses_have_texts(key: str, words: Any) -> None:
    """Every status has a translation."""
    assert set(TRANSLATIONS["entity"]["sensor"][key]["state"]) == {
        word.value for word in words
    }


def test_exceptions_have_texts() -> None:
    """Every exception has a message, and every message an exception."""
    literal = set(re.findall(r'translation_key=\s*"(\w+)",?\s*(?:\)|trans)', SOURCE))
    built = set(re.findall(r'(?:_error|_busy|FieldError)\(\s*"(\w+)"', SOURCE))
    chosen = {
        "locked_by_service",
        "many_failed",
        "needs_supervisor",
        "not_a_device",
        "several_failed",
        "stopping",
        "unavailable_service",
        "unloaded",
    }
    keys = {
        *_DEVICE_TRANSLATION_KEYS.values(),
        *_ACCOUNT_TRANSLATION_KEYS.values(),
        *_LOCK_TRANSLATION_KEYS.values(),
        *OUTAGE_TRANSLATION_KEYS.values(),
        *_REASON_TRANSLATION_KEYS.values(),
        *_ACCOUNT_REASON_TRANSLATION_KEYS.values(),
        *built,
        *chosen,
    }
    assert keys | (literal & set(TRANSLATIONS["exceptions"])) == set(
        TRANSLATIONS["exceptions"]
    )


def test_results_are_of_texts() -> None:
    """Every message with a result that differs from its key exists."""
    assert _RESULTS.keys() <= TRANSLATIONS["exceptions"].keys()


def test_flow_errors_have_texts() -> None:
    """Every error of the flows has a translation, and every translation an error."""
    flow = "".join(
        module.read_text("utf-8")
        for module in (*FOLDER.glob("*_flow.py"), FOLDER / "flow_helpers.py")
    )
    used = set(re.findall(r'"(\w+)"', flow))
    account = {text for _, _, text in _ACCOUNT_ERRORS}
    assert set(TRANSLATIONS["config"]["error"]) <= used
    assert {text for _, _, text in _DEVICE_ERRORS} <= set(
        TRANSLATIONS["config"]["error"]
    )
    assert account <= set(TRANSLATIONS["config"]["error"])
    assert account <= set(TRANSLATIONS["options"]["abort"])
    assert set(TRANSLATIONS["options"]["error"]) <= used


def _fields(texts: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the fields of a step with names and descriptions, including those in sections."""
    parts = [texts, *texts.get("sections", {}).values()]
    names = [set(part.get("data", {})) for part in parts]
    described = [set(part.get("data_description", {})) for part in parts]
    return set().union(*names), set().union(*described)


STEPS: Final = {
    **{
        step: TRANSLATIONS["config"]["step"][step]
        for step in TRANSLATIONS["config"]["step"]
    },
    "options": TRANSLATIONS["options"]["step"]["init"],
}


@pytest.mark.parametrize("step", STEPS)
def test_flow_fields_are_described(step: str) -> None:
    """Every field of the flows has a name and a description."""
    names, described = _fields(STEPS[step])
    assert names == described


def _flat(fields: dict[str, Any]) -> set[str]:
    """Return the names of fields, including those in sections."""
    names = set()
    for name, field in fields.items():
        names |= set(field["fields"]) if "fields" in field else {name}
    return names


def test_actions_have_texts_and_fields() -> None:
    """Translations, icons and services.yaml have the same actions and fields."""
    described = yaml.safe_load((FOLDER / "services.yaml").read_text("utf-8"))
    described = {
        name: _flat(action.get("fields", {})) for name, action in described.items()
    }
    told = {
        name: set(action.get("fields", {}))
        for name, action in TRANSLATIONS["services"].items()
    }
    taken = {
        name: {str(field) for field in action.fields}
        for name, action in ACTIONS.items()
    }
    assert described == taken
    assert told == taken
    assert set(ICONS["services"]) == set(taken)


def test_card_has_texts() -> None:
    """The fallback texts of the card are the English translations."""
    texts = (FOLDER / "frontend/logs-texts.js").read_text("utf-8")
    table = texts.partition("const TEXTS = {")[2].partition("};")[0]
    modules = (FOLDER / "frontend").glob("*logs-*.js")
    card = "".join(module.read_text("utf-8") for module in modules)
    own = dict(re.findall(r'(\w+):\s+"([^"]*)",', table))
    assert own == TRANSLATIONS["config_panel"]["logs_card"]
    assert set(own) <= set(re.findall(r'"(\w+)"', card))


def test_update_hint_has_texts() -> None:
    """The fallback texts of the hint to reload the page are the English translations."""
    hint = (FOLDER / "frontend/update-hint.js").read_text("utf-8")
    table = hint.partition("const TEXTS = {")[2].partition("};")[0]
    own = dict(re.findall(r'(\w+):\s+"([^"]*)",', table))
    assert own == TRANSLATIONS["config_panel"]["page"]


def test_pickers_have_texts() -> None:
    """The fallback texts of the pickers are the English translations. `balena` is the same in all languages."""
    modules = (FOLDER / "frontend").glob("*.js")
    source = "".join(module.read_text("utf-8") for module in modules)
    own: dict[str, str] = {}
    for key, table in re.findall(
        r'offer\("\w+", "(\w+)", \{(.*?)\}\)', source, re.DOTALL
    ):
        texts = dict(re.findall(r'(\w+): "([^"]*)"', table))
        own |= {key: texts["description"], f"{key}_name": texts["name"]}
    assert own == TRANSLATIONS["config_panel"]["picker"] | {"dashboard_name": "balena"}


def test_dashboard_has_texts() -> None:
    """The dashboard has all texts that its modules name, and uses all that it has."""
    folder = FOLDER / "frontend"
    modules = [*folder.glob("*dashboard*.js"), *folder.glob("device*-card.js")]
    source = "".join(module.read_text("utf-8") for module in modules)
    own = set(TRANSLATIONS["config_panel"]["dashboard"])
    # Some texts are those of the log card.
    assert set(re.findall(r'(?<!logTexts\.)\btext\("(\w+)"', source)) <= own
    words = set(re.findall(r"\w+", source))
    # Keys that are made of a prefix and a word.
    prefixes = re.findall(r"`(\w+_)\$\{", source)
    prefixes += [f"{name}_" for name in re.findall(r'choice\(\s*"(\w+)"', source)]
    made = {prefix + word for prefix in prefixes for word in words}
    assert own <= words | made


def test_every_endpoint_is_documented() -> None:
    """The page of endpoints lists each endpoint with the version that introduced it."""
    page = (FOLDER.parent.parent / "docs/endpoints.md").read_text("utf-8")
    for endpoint in Endpoint:
        path = endpoint.path.replace("{app_id}", ":id")
        rows = [
            row
            for row in page.splitlines()
            if row.startswith("|") and path in row.split("|")[1]
        ]
        since = ".".join(map(str, endpoint.since))
        assert any(since in row.split("|")[2] for row in rows), endpoint


# The fixture that checks the translations in every test finds missing ones.


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: HomeAssistantError("plain English"), "HomeAssistantError"),
        (lambda: ServiceValidationError("plain English"), "ServiceValidationError"),
        (
            lambda: HomeAssistantError(**OWN_DOMAIN, translation_key="none"),
            "none has no text",
        ),
        (
            lambda: HomeAssistantError(**OWN_DOMAIN, translation_key="device_offline"),
            "device_offline is shown without ['device']",
        ),
    ],
)
def test_untranslated_exception(
    missing_translations: list[str], made: FunctionType, problem: str
) -> None:
    """An exception of the integration without a translation fails a test."""
    module = globals() | {"__name__": f"{const.__package__}.any"}
    FunctionType(made.__code__, module)()
    (found,) = missing_translations
    assert problem in found
    missing_translations.clear()


def test_exception_of_others() -> None:
    """Exceptions of other code need no translation."""
    HomeAssistantError("plain English")


def menu(options: list[str], **given: str) -> list[str]:
    """Return the problems of the translations of a menu in the flow."""
    return missing_in_flow(
        ConfigEntriesFlowManager.__new__(ConfigEntriesFlowManager),
        {
            "type": FlowResultType.MENU,
            "handler": const.DOMAIN,
            "step_id": "user",
            "menu_options": options,
            "description_placeholders": given,
        },
    )


def test_option_of_a_menu_without_texts() -> None:
    """An option of a menu needs a name and a description."""
    assert not menu(["direct", "account"])
    assert menu(["direct", "smoke_signals"]) == [
        "config.step.user.menu_options.smoke_signals has no text",
        "config.step.user.menu_option_descriptions.smoke_signals has no text",
    ]


def test_section_without_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A section and each of its fields need translations with all placeholders."""
    inner = {"name": "More", "description": "Of {it}", "data": {"field": "{this}"}}
    step = {"title": "Any", "sections": {"more": inner}}
    monkeypatch.setitem(translations.TRANSLATIONS["config"]["step"], "any", step)
    schema = vol.Schema({"more": section(vol.Schema({"field": str}))})
    result = {
        "type": FlowResultType.FORM,
        "handler": const.DOMAIN,
        "step_id": "any",
        "errors": {},
        "data_schema": schema,
    }
    manager = ConfigEntriesFlowManager.__new__(ConfigEntriesFlowManager)
    where = "config.step.any.sections.more"
    assert missing_in_flow(manager, result) == [
        f"{where}.description is shown without ['it']",
        f"{where}.data.field is shown without ['this']",
        f"{where}.data_description.field has no text",
    ]
