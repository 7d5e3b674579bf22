"""Says the sentences of the corpora to a real Assist. scripts/voice runs this."""

from collections import Counter, defaultdict
from dataclasses import replace
import logging
import os
from pathlib import Path
import sys
import time
from typing import Any, Final

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.util.yaml import load_yaml

from .judge import Judge, Outcome, Verdict
from .world import World, add_devices, build_home, complete_world

CORPORA: Final = sorted(
    path.parent.name for path in Path(__file__).parent.glob("*/world.yaml")
)
SHOWS_FAILURES: Final = bool(os.environ.get("VOICE_FAILURES"))
ONLY: Final = os.environ.get("VOICE_ONLY", "")
# Says only every so many sentences.
STEP: Final = int(os.environ.get("VOICE_STEP", "1"))
# At least 60 sentences of each language.
SAMPLE_STEP: Final = 7
SEVERE: Final = {Verdict.WRONG_ACTION, Verdict.FALSE_ANSWER, Verdict.TAKEN}


def sentences_of(folder: Path) -> list[dict[str, Any]]:
    """Return the sentences of a corpus, each with its language."""
    sentences: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.stem == "world":
            continue
        items = load_yaml(str(path))
        assert isinstance(items, list)
        sentences += [
            {"language": path.stem, "file": path.stem} | item for item in items
        ]
    return sentences


async def say(world: World, sentence: dict[str, Any]) -> Outcome:
    """Say a sentence, and return what came of it."""
    said, language = sentence["said"], sentence["language"]
    is_ours = await world.is_matched(said, language)
    try:
        answer = await world.say(said, language, sentence.get("area"))
    except Exception as err:  # noqa: BLE001
        # One sentence that fails must not hide what comes of the others.
        answer = f"CRASH {err!r}"
    return Outcome(answer, is_ours, world.take_commands())


def describe(
    item: dict[str, Any], outcome: Outcome, verdict: Verdict, before: str | None
) -> str:
    """Return a sentence and what came of it, or nothing if that needs no attention."""
    if not (verdict in SEVERE or (SHOWS_FAILURES and verdict is not Verdict.RIGHT)):
        return ""
    area = f" in {item['area']}" if "area" in item else ""
    lines = [
        f"{item['id']} {verdict}: {item['said']!r}{area}",
        f"    -> {outcome.answer!r} {outcome.commands or ''}",
        f"    expected {item['expect']}",
    ]
    if before is not None:
        lines.append(f"    without the integration {before!r}")
    return "".join(f"{line}\n" for line in lines)


def table(verdicts: list[tuple[dict[str, Any], Outcome, Verdict]]) -> str:
    """Return the verdicts by kind and language as a table."""
    rows: defaultdict[tuple[str, str], Counter[Verdict]] = defaultdict(Counter)
    for sentence, _, verdict in verdicts:
        language = sentence["language"]
        group = "not_ours" if sentence["file"] == "not_ours" else sentence["kind"]
        rows[language, group][verdict] += 1
        if group != "not_ours":
            rows[language, "TOTAL"][verdict] += 1
    head = ["language", "kind", "sentences", *(str(verdict) for verdict in Verdict)]
    lines = [head]
    for (language, group), counts in sorted(rows.items()):
        total = sum(counts.values())
        right = f"{counts[Verdict.RIGHT]} ({100 * counts[Verdict.RIGHT] / total:.0f} %)"
        rest = [str(counts[verdict]) for verdict in list(Verdict)[1:]]
        lines.append([language, group, str(total), right, *rest])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.expects_log("")
@pytest.mark.parametrize("corpus", CORPORA)
async def test_corpus(
    hass: HomeAssistant, corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sentence does or tells something wrong, or is taken from Home Assistant."""
    logging.disable(logging.INFO)
    folder = Path(__file__).parent / corpus
    sentences = await hass.async_add_executor_job(sentences_of, folder)
    sentences = [
        item
        for item in sentences
        if ONLY in f"{item['file']} {item['id']} {item['kind']}"
    ][::STEP]
    world = await build_home(hass, folder)
    judge = Judge(world.spec["devices"])
    before = {
        item["id"]: (await say(world, item)).answer
        for item in sentences
        if "not_ours" in item["expect"]
    }
    world.cancel_timers()
    verdicts = []
    async with add_devices(world):
        begin = time.perf_counter()
        for item in sentences:
            outcome = await say(world, item)
            known = before.get(item["id"])
            outcome = replace(outcome, is_unchanged=outcome.answer == known)
            verdict = judge.judge(item, outcome)
            verdicts.append((item, outcome, verdict))
            with capsys.disabled():
                sys.stdout.write(describe(item, outcome, verdict, known))
        seconds = time.perf_counter() - begin
        world.cancel_timers()
    with capsys.disabled():
        sys.stdout.write(
            f"\n\n{corpus}: {len(verdicts)} sentences in {seconds:.1f} s\n\n{table(verdicts)}\n"
        )
    assert not [item["id"] for item, _, verdict in verdicts if verdict in SEVERE]


@pytest.mark.parametrize("corpus", ["first", "second", "third"])
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
@pytest.mark.expects_log("")
async def test_sample(hass: HomeAssistant, corpus: str) -> None:
    """Of a sample of each corpus, nearly all is answered rightly, and nothing is severe."""
    folder = Path(__file__).parent / corpus
    sentences = await hass.async_add_executor_job(sentences_of, folder)
    verdicts: dict[str, Verdict] = {}
    async with complete_world(hass, folder) as world:
        judge = Judge(world.spec["devices"])
        for item in sentences[::SAMPLE_STEP]:
            verdicts[item["id"]] = judge.judge(item, await say(world, item))
    assert not [name for name, verdict in verdicts.items() if verdict in SEVERE]
    wrong = [name for name, verdict in verdicts.items() if verdict is not Verdict.RIGHT]
    assert len(wrong) <= 0.05 * len(verdicts), wrong
