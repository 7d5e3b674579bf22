"""Checks that everything shown to a person has a translation and all of its placeholders."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
from string import Formatter
from types import FrameType
from typing import Any, Final

from custom_components.balena_supervisor import const
from homeassistant.components.repairs.issue_handler import RepairsFlowManager
from homeassistant.config_entries import ConfigEntriesFlowManager, OptionsFlowManager
from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.exceptions import Unauthorized

FOLDER: Final = Path(const.__file__).parent
TRANSLATIONS: Final[dict[str, Any]] = json.loads(
    (FOLDER / "translations/en.json").read_text("utf-8")
)

_FLOWS: Final[dict[type, tuple[str, dict[str, Any]]]] = {
    ConfigEntriesFlowManager: ("config", TRANSLATIONS["config"]),
    OptionsFlowManager: ("options", TRANSLATIONS["options"]),
}
_FIX_FLOWS: Final[list[dict[str, Any]]] = [
    issue["fix_flow"]
    for issue in TRANSLATIONS["issues"].values()
    if "fix_flow" in issue
]


def _texts_of_flow(
    manager: object, result: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the category and the texts of a flow.

    Nothing in a result shows to which issue a repair flow belongs, except its menu.
    """
    if not isinstance(manager, RepairsFlowManager):
        return _FLOWS[type(manager)]
    step, options = result.get("step_id"), set(result.get("menu_options", ()))
    with_abort = [
        flow for flow in _FIX_FLOWS if result.get("reason") in flow.get("abort", {})
    ]
    with_menu = [
        flow
        for flow in _FIX_FLOWS
        if step in flow["step"]
        and set(flow["step"][step].get("menu_options", ())) == options
    ]
    return "fix_flow", next(iter(with_menu or with_abort), _FIX_FLOWS[0])


def placeholders(text: str) -> set[str]:
    """Return the names of the placeholders of a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def missing_in(
    where: str, texts: Mapping[str, Any], key: str, given: Mapping[str, str] | None
) -> Iterator[str]:
    """Yield the problems of a text that is shown with the given placeholders."""
    text = texts.get(key)
    if text is None:
        yield f"{where}.{key} has no text"
        return
    unknown = placeholders(text) - set(given or ())
    if unknown:
        yield f"{where}.{key} is shown without {sorted(unknown)}"


def missing_in_flow(manager: object, result: Mapping[str, Any]) -> list[str]:
    """Return the problems of the texts of a flow step."""
    is_options = isinstance(manager, OptionsFlowManager)
    if not is_options and result["handler"] != const.DOMAIN:
        return []
    kind, texts = _texts_of_flow(manager, result)
    given = result.get("description_placeholders")
    match result["type"]:
        case FlowResultType.FORM:
            return list(_missing_in_form(kind, texts, result, given))
        case FlowResultType.MENU:
            step = texts["step"].get(result["step_id"], {})
            where = f"{kind}.step.{result['step_id']}"
            parts = [
                part
                for part in ("menu_options", "menu_option_descriptions")
                if part == "menu_options" or part in step
            ]
            return [
                *_missing_in_head(where, step, given),
                *(
                    problem
                    for part in parts
                    for option in result["menu_options"]
                    for problem in missing_in(
                        f"{where}.{part}", step.get(part, {}), option, given
                    )
                ),
            ]
        case FlowResultType.ABORT:
            # Home Assistant itself translates some errors.
            where, reason = f"{kind}.abort", result["reason"]
            return list(missing_in(where, texts.get("abort", {}), reason, given))
    return []


def _missing_in_form(
    kind: str,
    texts: Mapping[str, Any],
    result: Mapping[str, Any],
    given: Mapping[str, str] | None,
) -> Iterator[str]:
    where = f"{kind}.step.{result['step_id']}"
    step = texts["step"].get(result["step_id"])
    if step is None:
        yield f"{where} has no texts"
        return
    yield from _missing_in_head(where, step, given)
    for error in (result["errors"] or {}).values():
        yield from missing_in(f"{kind}.error", texts.get("error", {}), error, given)
    schema = result["data_schema"]
    for field, value in (schema.schema if schema else {}).items():
        if not isinstance(value, section):
            yield from _missing_in_field(where, step, str(field), given)
            continue
        inner = step.get("sections", {}).get(str(field), {})
        for part in ("name", *(["description"] if "description" in inner else [])):
            yield from missing_in(f"{where}.sections.{field}", inner, part, given)
        for name in value.schema.schema:
            yield from _missing_in_field(
                f"{where}.sections.{field}", inner, str(name), given
            )


def _missing_in_head(
    where: str, step: Mapping[str, Any], given: Mapping[str, str] | None
) -> Iterator[str]:
    for key in ("title", *(["description"] if "description" in step else [])):
        yield from missing_in(where, step, key, given)


def _missing_in_field(
    where: str, step: Mapping[str, Any], name: str, given: Mapping[str, str] | None
) -> Iterator[str]:
    for part in ("data", "data_description"):
        yield from missing_in(f"{where}.{part}", step.get(part, {}), name, given)


def missing_in_exception(error: Any, frame: FrameType | None) -> list[str]:
    """Return the problems of the text of an exception that is created in a frame."""
    # Home Assistant does not translate its error for a missing permission.
    needs_translation = not isinstance(error, Unauthorized)
    if (
        needs_translation
        and error.translation_domain is None
        and _is_ours(error, frame)
    ):
        return [f"{type(error).__name__}({error.args}) has no translation"]
    if error.translation_domain != const.DOMAIN:
        return []
    texts = {key: item["message"] for key, item in TRANSLATIONS["exceptions"].items()}
    given = error.translation_placeholders
    return list(missing_in("exceptions", texts, error.translation_key, given))


def missing_in_issue(issue: Mapping[str, Any]) -> list[str]:
    """Return the problems of the texts of an issue of the integration."""
    key, given = issue["translation_key"], issue["translation_placeholders"]
    texts = TRANSLATIONS["issues"].get(key, {})
    is_fixable = issue["is_fixable"]
    step = texts.get("fix_flow", {}).get("step", {}).get("init", {})
    shown = {"title": texts, "description": step if is_fixable else texts}
    return [
        problem
        for part, where in shown.items()
        for problem in missing_in(f"issues.{key}", where, part, given)
    ]


def _is_ours(error: object, frame: FrameType | None) -> bool:
    """Return whether the integration creates an exception. Skip frames of its own constructor."""
    while frame is not None and any(
        value is error for value in frame.f_locals.values()
    ):
        frame = frame.f_back
    return frame is not None and frame.f_globals["__name__"].startswith(
        const.__package__
    )
