"""Answers questions about devices and services."""

from .device_answers import answer_about_device
from .group_answers import GROUP_ANSWERS, answer_about_group
from .kinds import Kind
from .known_device import look_up
from .selection import Refusal, Selection
from .service_answers import answer_running, answer_which_run, answer_which_stopped


def answer(selection: Selection) -> str:
    """Return the answer to a question.

    Raises:
        Refusal: The question cannot be answered.
    """
    heard, texts = selection.heard, selection.texts
    if heard.kind is Kind.SERVICE_RUNNING:
        return answer_running(selection)
    if heard.kind is Kind.WHICH_RUN:
        return answer_which_run(selection)
    if heard.kind is Kind.WHICH_STOPPED:
        return answer_which_stopped(selection)
    no_name = not (heard.devices or heard.nouns)
    if heard.is_group or (no_name and heard.kind in GROUP_ANSWERS):
        group = [look_up(selection, target) for target in selection.group()]
        if (
            not group
            and selection.targets
            and not (heard.nouns or heard.places or heard.is_here)
        ):
            raise Refusal(texts.get("none_exposed"))
        if not group:
            raise Refusal(
                texts.get("no_devices", group=heard.group or texts.get("devices"))
            )
        return answer_about_group(selection, group)
    known = look_up(selection, selection.device())
    return answer_about_device(texts, heard, known)
