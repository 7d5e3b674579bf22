"""The names that people can say: devices, services, places and what devices have in common."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    floor_registry as fr,
    label_registry as lr,
)

from .targets import EntityKind, VoiceTarget
from .words import LanguageWords, Tokens

_MIN_NOUN: Final = 3


class NameType(StrEnum):
    """What a name stands for. The first type takes precedence."""

    DEVICE = "device"
    SERVICE = "service"
    PLURAL = "plural"
    PLACE = "place"
    NOUN = "noun"


class NamedDevice(NamedTuple):
    """A device with the names of what it has and where it is, without Home Assistant."""

    id: str
    name: str
    names: frozenset[str]
    # The names of each service by its id.
    services: Mapping[str, frozenset[str]]
    # Names of its area, its floor, its labels and its fleet.
    places: frozenset[str]
    # Those of them that name devices and no place.
    groups: frozenset[str] = frozenset()


class Inventory(NamedTuple):
    """All devices with their names, and the names of all places."""

    devices: tuple[NamedDevice, ...]
    places: frozenset[str]


def read_inventory(
    hass: HomeAssistant, devices: Iterable[VoiceTarget], kinds: Iterable[EntityKind]
) -> Inventory:
    """Return the names from the registries."""
    kinds = tuple(kinds)
    floors, labels = fr.async_get(hass), lr.async_get(hass)
    places: set[str] = set()
    for area in ar.async_get(hass).async_list_areas():
        places |= {area.name, *area.aliases}
    for floor in floors.async_list_floors():
        places |= {floor.name, *floor.aliases}
    named = []
    for device in devices:
        own: set[str] = set(device.area_names)
        if device.area and device.area.floor_id:
            found = floors.async_get_floor(device.area.floor_id)
            own |= {found.name, *found.aliases} if found else set()
        groups = {
            label.name
            for label_id in device.registry_entry.labels
            if (label := labels.async_get_label(label_id)) is not None
        }
        if (fleet := device.fleet_name) is not None:
            groups.add(fleet)
        own |= groups
        places |= own
        named.append(
            NamedDevice(
                device.registry_entry.id,
                device.name,
                frozenset(_names(device, kinds)),
                {
                    service.registry_entry.id: frozenset(_names(service, kinds))
                    for service in device.services
                },
                frozenset(own),
                frozenset(groups),
            )
        )
    return Inventory(tuple(named), frozenset(places))


def _names(target: VoiceTarget, kinds: Iterable[EntityKind]) -> set[str]:
    is_service = target.device is not None
    aliases = {
        alias
        for kind in kinds
        if kind.is_of_service == is_service
        for alias in target.aliases(kind)
    }
    return {target.name, *target.other_names, *aliases}


class Vocabulary:
    """The names of one language. `names` maps the words of a name to what it stands for."""

    def __init__(
        self,
        inventory: Inventory,
        words: LanguageWords,
        others: Iterable[LanguageWords] = (),
    ) -> None:
        """Collect the names. `others` are the words of the other languages in use."""
        self.words = words
        self._languages = (words, *others)
        self.names: dict[Tokens, dict[NameType, frozenset[str]]] = {}
        self.texts: dict[NameType, frozenset[str]] = {}
        self.devices = {device.id: device for device in inventory.devices}
        self._found: defaultdict[tuple[NameType, str], set[str]] = defaultdict(set)
        for place in inventory.places:
            self._add(NameType.PLACE, place, ())
            for form in self._place_forms(place):
                self._add(NameType.PLACE, form, ())
        for device in inventory.devices:
            for name in device.names:
                for form in self._said_names(name):
                    self._add(NameType.DEVICE, form, [device.id])
            for service_id, names in device.services.items():
                for name in names:
                    if not any(item.is_grammatical(name) for item in self._languages):
                        self._add(NameType.SERVICE, name, [f"{device.id} {service_id}"])
            for group in device.groups:
                self._add_group(group, device.id)
            for place in device.places:
                self._add(NameType.PLACE, place, [device.id])
                for form in self._place_forms(place):
                    self._add(NameType.PLACE, form, [device.id])
        self._add_nouns(inventory)
        self._add_short_numbers(inventory)
        self._add_turned_names(inventory)
        self._add_compounds(inventory)
        self._index()

    def _is_ordinary(self, name: str) -> bool:
        """Return whether a name is an ordinary word in a language in use."""
        return any(item.is_ordinary(name) for item in self._languages)

    def _said_names(self, name: str) -> list[str]:
        """Return a name, after "device" if it is an ordinary word such as "timer"."""
        if not self._is_ordinary(name):
            return [name]
        return [f"{noun} {name}" for noun in self.words.texts["device_noun"]]

    def _place_forms(self, place: str) -> list[str]:
        """Return singular forms of a label, and a fleet's name with its noun."""
        if self.words.language == "de" and place.casefold().endswith("e"):
            return [place[:-1], f"{place}n"]
        return []

    def _add_group(self, group: str, device_id: str) -> None:
        """Add a fleet or a label that is said like a noun: "shop kiosks", "Testgeräte"."""
        tokens = self.words.tokens(group)
        nouns = {text for text in self.words.texts["devices_noun"] if " " not in text}
        names_devices = any(
            token.endswith(noun) for token in tokens[-1:] for noun in nouns
        )
        is_plural = len(tokens) > 1 and any(
            tokens[-1].endswith(plural.format("")) for plural in self.words.plurals
        )
        if names_devices or is_plural:
            self._found[NameType.PLURAL, group].add(device_id)
            for form in self._place_forms(group):
                self._found[NameType.PLURAL, form].add(device_id)

    def _add(self, kind: NameType, name: str, ids: Iterable[str]) -> None:
        if kind is NameType.PLACE and self._is_ordinary(name):
            # A label "offline" would change what "which kiosks are offline" means.
            return
        if self.words.tokens(name):
            self._found[kind, name].update(ids)

    def _add_nouns(self, inventory: Inventory) -> None:
        """Add the words that names have in common or end with, such as "kiosk", and their plurals."""
        count: defaultdict[str, set[str]] = defaultdict(set)
        last: set[str] = set()
        for device in inventory.devices:
            for name in device.names:
                tokens = self.words.tokens(name)
                for token in tokens:
                    count[token].add(device.id)
                if len(tokens) > 1:
                    last.add(tokens[-1])
        taken = {
            token
            for (kind, name) in self._found
            if kind in (NameType.PLACE, NameType.SERVICE)
            for token in self.words.tokens(name)
        } - set(last)
        places = {
            tuple(self.words.tokens(name))
            for (kind, name) in self._found
            if kind in (NameType.PLACE, NameType.SERVICE)
        }
        for token, ids in count.items():
            is_shared = len(ids) > 1 and token not in taken
            is_noun = token.isalpha() and len(token) >= _MIN_NOUN
            if (
                not is_noun
                or not (is_shared or token in last)
                or (token,) in places
                or token in self.words.known | self.words.common
            ):
                continue
            whole = self._ids_with_suffix(token, inventory)
            self._found[NameType.NOUN, token] |= ids | whole
            for plural in self.words.plurals_of(token):
                self._found[NameType.PLURAL, plural] |= ids | whole

    def _ids_with_suffix(self, noun: str, inventory: Inventory) -> set[str]:
        """Return the devices with a compound that ends with a noun."""
        return {
            device.id
            for device in inventory.devices
            for name in device.names
            for token in self.words.tokens(name)
            if token.endswith(noun)
        }

    def _add_short_numbers(self, inventory: Inventory) -> None:
        """Add names without leading zeros: "shop 5" is "shop-05" if no "shop-5" exists."""
        full = {tuple(self.words.tokens(name)) for (_, name) in self._found}
        for device in inventory.devices:
            tokens = self.words.tokens(device.name)
            short = [
                str(int(token)) if token.isdecimal() else token for token in tokens
            ]
            if short != tokens and len(tokens) > 1 and tuple(short) not in full:
                self._found[NameType.DEVICE, " ".join(short)].add(device.id)

    def _add_turned_names(self, inventory: Inventory) -> None:
        """Add names with their first word at the end: "lobby kiosk" is "kiosk-lobby"."""
        full = {tuple(self.words.tokens(name)) for (_, name) in self._found}
        for device in inventory.devices:
            tokens = self.words.tokens(device.name)
            turned = (*tokens[1:], *tokens[:1])
            if (
                len(tokens) > 1
                and turned not in full
                and tokens[-1].isalpha()
                and not self._is_ordinary(device.name)
            ):
                self._found[NameType.DEVICE, " ".join(turned)].add(device.id)

    def _add_compounds(self, inventory: Inventory) -> None:
        """Add a place and a noun as one word: "Lobbykiosk" is the kiosk in the lobby."""
        if not self.words.compound:
            return
        for device in inventory.devices:
            nouns = {
                token
                for name in device.names
                for token in self.words.tokens(name)
                if (NameType.NOUN, token) in self._found
            }
            for place in device.places:
                if not place.isalpha():
                    continue
                for joint in self.words.compound:
                    for noun in nouns:
                        self._found[NameType.DEVICE, f"{place}{joint}{noun}"].add(
                            device.id
                        )

    def _index(self) -> None:
        texts: defaultdict[NameType, set[str]] = defaultdict(set)
        for (kind, name), ids in self._found.items():
            forms = {name, *self.words.spoken(name)}
            if kind in (NameType.SERVICE, NameType.NOUN):
                forms |= set(self.words.splits_of(name))
            if kind is NameType.DEVICE:
                forms.add("".join(self.words.tokens(name)))
            for form in forms:
                texts[kind].add(form.casefold())
                key = tuple(self.words.tokens(form))
                known = self.names.setdefault(key, {})
                known[kind] = known.get(kind, frozenset()) | ids
        # A singular of one noun may be the plural of another.
        self.texts = {kind: frozenset(forms) for kind, forms in texts.items()}
        self._found.clear()
