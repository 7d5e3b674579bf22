"""Says the sentences of the corpora to a real Assist. scripts/voice runs this."""

from collections import Counter, defaultdict
from collections.abc import Iterable
import logging
import os
from pathlib import Path
import time
from typing import Any, Final

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.util.yaml import load_yaml

from .judge import Judge, Outcome, Verdict
from .world import World, add_devices, build_home

CORPORA: Final = sorted(
    path.parent.name for path in Path(__file__).parent.glob("*/world.yaml")
)
SHOWS_FAILURES: Final = bool(os.environ.get("VOICE_FAILURES"))
ONLY: Final = os.environ.get("VOICE_ONLY", "")


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


async def say_all(
    world: World, sentences: Iterable[dict[str, Any]]
) -> list[tuple[dict[str, Any], Outcome]]:
    """Say sentences, and return what came of each."""
    outcomes = []
    for sentence in sentences:
        said, language = sentence["said"], sentence["language"]
        is_ours = await world.is_matched(said, language)
        answer = await world.say(said, language, sentence.get("area"))
        outcomes.append((sentence, Outcome(answer, is_ours, world.take_commands())))
    return outcomes


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
    """Every sentence of a corpus, and no sentence of Home Assistant is answered differently."""
    logging.disable(logging.INFO)
    folder = Path(__file__).parent / corpus
    sentences = await hass.async_add_executor_job(sentences_of, folder)
    sentences = [
        item for item in sentences if ONLY in (item["id"] + " " + item["kind"])
    ]
    world = await build_home(hass, folder)
    judge = Judge(world.spec["devices"])
    others = [item for item in sentences if "not_ours" in item["expect"]]
    before = {
        item["id"]: outcome.answer for item, outcome in await say_all(world, others)
    }
    world.cancel_timers()
    verdicts = []
    async with add_devices(world):
        begin = time.perf_counter()
        for item, outcome in await say_all(world, sentences):
            if item["id"] in before:
                outcome = Outcome(
                    outcome.answer,
                    outcome.is_ours,
                    outcome.commands,
                    outcome.answer == before[item["id"]],
                )
            verdicts.append((item, outcome, judge.judge(item, outcome)))
        seconds = time.perf_counter() - begin
        world.cancel_timers()
    with capsys.disabled():
        print(f"\n\n{corpus}: {len(verdicts)} sentences in {seconds:.1f} s\n")
        print(table(verdicts))
        print()
        for item, outcome, verdict in verdicts:
            is_bad = verdict in {
                Verdict.WRONG_ACTION,
                Verdict.FALSE_ANSWER,
                Verdict.TAKEN,
            }
            if is_bad or (SHOWS_FAILURES and verdict is not Verdict.RIGHT):
                print(
                    f"{item['id']} {verdict}: {item['said']!r}"
                    f"{' in ' + item['area'] if 'area' in item else ''}\n"
                    f"    -> {outcome.answer!r} {outcome.commands or ''}\n"
                    f"    expected {item['expect']}"
                    f"{' before ' + repr(before[item['id']]) if item['id'] in before else ''}"
                )
