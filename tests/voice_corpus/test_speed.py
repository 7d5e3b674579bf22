"""Measures what sentences cost with many devices. scripts/voice --speed runs this."""

from pathlib import Path
import statistics
import sys
import time
from typing import Any, Final

from hassil.intents import Intents
from hassil.recognize import recognize_all
import pytest

from custom_components.balena_supervisor.voice.trigger_sentences import build_sentences
from custom_components.balena_supervisor.voice.vocabulary import (
    Inventory,
    NamedDevice,
    Vocabulary,
)
from custom_components.balena_supervisor.voice.words import load_words
from homeassistant.util.yaml import load_yaml

NOUNS: Final = ("kiosk", "display", "gateway", "printer", "sensor", "server")
PLACES: Final = ("lobby", "entrance", "cafe", "terrace", "shop", "kitchen", "garage")
REPETITIONS: Final = 5
SERVICES: Final = ("browser", "mqtt", "grafana", "bridge", "player")


def inventory(count: int) -> Inventory:
    """Return the names of some devices."""
    devices = tuple(
        NamedDevice(
            str(number),
            name := f"{NOUNS[number % 6]}-{PLACES[number % 7]}-{number}",
            frozenset({name}),
            {f"{number} {service}": frozenset({service}) for service in SERVICES},
            frozenset({PLACES[number % 7]}),
        )
        for number in range(count)
    )
    return Inventory(devices, frozenset(PLACES))


def parse(data: list[dict[str, Any]]) -> Intents:
    """Parse sentences as Home Assistant does at the first sentence after a change."""
    intents = Intents.from_dict({"language": "en", "intents": {"ours": {"data": data}}})
    # The first match parses the sentences and builds the indexes of the lists.
    list(recognize_all("turn the restart kiosk lobby on", intents))
    return intents


def time_of(said: str, intents: Intents) -> float:
    """Return the shortest of several times, in milliseconds: the machine may be busy."""
    times = []
    for _ in range(REPETITIONS):
        begin = time.process_time()
        list(recognize_all(said, intents))
        times.append(1000 * (time.process_time() - begin))
    return min(times)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [300, 2000])
def test_speed(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the times with two languages."""
    names, words = inventory(count), load_words()
    begin = time.process_time()
    data = [
        block
        for own in words.values()
        for block in build_sentences(Vocabulary(names, own))
    ]
    built = time.process_time() - begin
    begin = time.process_time()
    intents = parse(data)
    parsed = time.process_time() - begin
    times = [time_of(item["said"], intents) for item in others()]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{count} devices, {len(words)} languages: built off the loop in {1000 * built:.0f} ms, "
            f"parsed by Home Assistant in {1000 * parsed:.0f} ms; a sentence that is not ours takes "
            f"{statistics.median(times):.3f} ms (median), {max(times):.1f} ms (longest)\n"
        )


def others() -> list[dict[str, Any]]:
    """Return sentences that are not ours."""
    found: list[dict[str, Any]] = []
    for path in sorted(Path(__file__).parent.glob("*/not_ours.yaml")):
        items: Any = load_yaml(str(path))
        found += items
    return found
