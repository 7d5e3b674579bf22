"""Finds the devices and services that a sentence is about."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .access import may_act, may_ask
from .entities import ENTITIES
from .heard import Heard
from .kinds import COMMANDS, Kind
from .quantity import NumberRole
from .targets import VoiceTarget
from .texts import Texts
from .vocabulary import Vocabulary


class Refusal(Exception):
    """A request that is not carried out or answered. The text gives the reason."""


@dataclass(slots=True)
class Selection:
    """The devices that a sentence can be about, and those that it is about."""

    hass: HomeAssistant
    heard: Heard
    vocabulary: Vocabulary
    texts: Texts
    targets: dict[str, VoiceTarget]
    assistant: str | None
    area_id: str | None

    def may_ask(self, target: VoiceTarget) -> bool:
        """Return whether a person may ask this about a device or a service."""
        if self.heard.kind in COMMANDS:
            return self.may_act(target) or may_ask(self.hass, target, self.assistant)
        kinds = [
            kind
            for kind in ENTITIES.get(self.heard.kind, ())
            if any(
                item.exposed_entities(kind, None) for item in target.targets_for(kind)
            )
        ]
        # If a device has no such entity, any other is enough to say so.
        return may_ask(self.hass, target, self.assistant, kinds)

    def may_act(self, target: VoiceTarget) -> bool:
        """Return whether a person may have a device or a service carry out the command."""
        (kind,) = ENTITIES[self.heard.kind]
        return may_act(self.hass, target, kind, self.assistant)

    def visible(self, ids: Iterable[str]) -> list[VoiceTarget]:
        """Return the devices that a person may ask about, sorted by name."""
        found = [
            target
            for device_id in ids
            if (target := self.targets.get(device_id)) is not None
            and self.may_ask(target)
        ]
        if self.heard.kind in COMMANDS:
            # Of two devices of one name, the one is meant that a person may act on.
            found = [target for target in found if self.may_act(target)] or found
        return sorted(found, key=lambda target: target.name)

    def group(self) -> list[VoiceTarget]:
        """Return the devices of the group that a sentence names.

        Raises:
            Refusal: A word of the sentence is unknown.
        """
        heard = self.heard
        if heard.unknown:
            self._refuse_unknown(" ".join(heard.unknown))
        ids = set(self.targets)
        for mention in (*heard.nouns, *heard.places):
            ids &= mention.ids
        found = self.visible(ids)
        if heard.is_here and self.area_id is not None:
            return self._here(found)
        return found

    def _here(self, candidates: list[VoiceTarget]) -> list[VoiceTarget]:
        """Return the devices in the area of the satellite."""
        return [
            target
            for target in candidates
            if target.area and target.area.id == self.area_id
        ]

    def device(self) -> VoiceTarget:
        """Return the only device that a sentence is about.

        Raises:
            Refusal: There is none, or there are several.
        """
        heard = self.heard
        if heard.unknown:
            self._refuse_unknown(" ".join(heard.unknown))
        if heard.devices:
            return self._named_device()
        if not heard.nouns and not heard.places:
            raise Refusal(self.texts.get("which_device"))
        ids = set(self.targets)
        for mention in (*heard.nouns, *heard.places):
            ids &= mention.ids
        if heard.number is not None and heard.role is NumberRole.NAME:
            ids = {item for item in ids if self._has_number(item, heard.number)}
        candidates = self.visible(ids)
        if not candidates:
            if heard.role is NumberRole.NAME:
                self._refuse_unknown(f"{heard.nouns[-1].text} {heard.number}")
            if set(heard.said_group.split()) & self.vocabulary.words.fillers:
                # "The device in the kitchen" is no name.
                raise Refusal(self.texts.get("no_devices", group=heard.group))
            self._refuse_unknown(heard.said_group)
        return self.one_of(candidates)

    def _has_number(self, device_id: str, number: int) -> bool:
        names = self.vocabulary.devices[device_id].names
        return any(
            token.isdecimal() and int(token) == number
            for name in names
            for token in self.vocabulary.words.tokens(name)
        )

    def _named_device(self) -> VoiceTarget:
        """Return the device that a sentence names."""
        heard = self.heard
        named = {mention.ids for mention in heard.devices}
        if len(named) > 1:
            names = {mention.text for mention in heard.devices}
            found = [
                self.targets[device_id].name
                for ids in named
                for device_id in ids
                if device_id in self.targets
            ]
            raise Refusal(
                self.texts.get(
                    "several_named",
                    count=self.texts.number(len(named)),
                    devices=self.texts.join(set(found) or names),
                )
            )
        ids = set(heard.devices[0].ids)
        in_place = set(ids)
        for mention in heard.places:
            in_place &= mention.ids
        if heard.kind in COMMANDS:
            for noun in heard.nouns:
                if not ids & noun.ids:
                    # "The garage gateway kiosk" can be either.
                    raise Refusal(self.which(self.visible(ids | noun.ids)))
        candidates = self.visible(in_place or ids)
        if not candidates:
            raise Refusal(self.texts.get("not_exposed", device=heard.devices[0].text))
        return self.one_of(candidates)

    def one_of(self, candidates: list[VoiceTarget]) -> VoiceTarget:
        """Return the only candidate, or the only one in the area of the satellite."""
        if len(candidates) > 1 and self.area_id is not None:
            candidates = self._here(candidates) or candidates
        if len(candidates) == 1:
            return candidates[0]
        raise Refusal(self.which(candidates))

    def _unclear(self) -> str:
        """Return that a sentence is not understood, with the device that is."""
        if not self.heard.devices:
            return self.texts.get("unclear_group")
        return self.texts.get("unclear", device=self._named_device().name)

    def which(self, candidates: list[VoiceTarget]) -> str:
        """Return the question which one of several devices is meant.

        Devices of one name differ by their area or by their fleet. Without such a difference,
        no question helps.
        """
        said = [item.name for item in candidates]
        names = [
            self.texts.get("in_area", device=target.name, area=place)
            if said.count(target.name) > 1
            and (place := target.area.name if target.area else target.fleet_name)
            else target.name
            for target in candidates
        ]
        if len(names) > 1 and len(set(names)) == 1:
            return self.texts.get(
                "same_name", count=self.texts.number(len(names)), device=said[0]
            )
        return self.texts.get("which", devices=self.texts.join(names, "or"))

    def _refuse_unknown(self, name: str) -> None:
        """Refuse a name that no device has, and suggest the most similar one."""
        heard = self.heard
        words = self.vocabulary.words
        tokens = words.tokens
        said = set(tokens(name))
        if said & words.indefinite and heard.nouns:
            # "The other kiosk".
            ids = set.intersection(*(set(mention.ids) for mention in heard.nouns))
            raise Refusal(self.which(self.visible(ids)))
        if not name or said & (words.known | words.common):
            # These words are no name.
            raise Refusal(self._unclear())
        asked = heard.misheard or name
        visible = self.visible(self.targets)
        known = {" ".join(tokens(target.name)): target.name for target in visible}
        close = get_close_matches(asked, known, n=1, cutoff=0.6) or (
            get_close_matches(
                asked.replace(" ", ""),
                [key.replace(" ", "") for key in known],
                n=1,
                cutoff=0.6,
            )
        )
        similar = {key.replace(" ", ""): device for key, device in known.items()}
        if close:
            device = similar[close[0].replace(" ", "")]
            raise Refusal(self.texts.get("unknown_similar", name=asked, device=device))
        raise Refusal(self.texts.get("unknown", name=asked))

    def services(self) -> list[tuple[VoiceTarget, VoiceTarget]]:
        """Return the devices and services that a person may ask about."""
        return [
            pair
            for pair in self._named_services()
            if self.may_ask(pair[1]) and self.visible([pair[0].registry_entry.id])
        ]

    def _named_services(self) -> list[tuple[VoiceTarget, VoiceTarget]]:
        """Return the devices and services that a sentence can be about."""
        heard = self.heard
        ids = set[str]()
        for mention in heard.services[-1:]:
            ids |= mention.ids
        found = []
        for item in ids:
            device_id, service_id = item.split(" ", 1)
            if (target := self.targets.get(device_id)) is not None:
                found += [
                    (target, service)
                    for service in target.services
                    if service.registry_entry.id == service_id
                ]
        return sorted(found, key=lambda pair: (pair[0].name, pair[1].name))

    def service(self) -> tuple[VoiceTarget, VoiceTarget]:
        """Return the only device and service that a sentence is about.

        Raises:
            Refusal: There is none, or there are several.
        """
        heard = self.heard
        name = heard.services[-1].text if heard.services else " ".join(heard.unknown)
        if not heard.services:
            raise Refusal(self._no_such_service(name))
        if len({mention.ids for mention in heard.services}) > 1:
            names = self.texts.join({item.text for item in heard.services}, "or")
            raise Refusal(self.texts.get("which", devices=names))
        pairs = self.services()
        if heard.kind is Kind.SERVICE_RUNNING and heard.devices:
            # "Is the mqtt broker running": a question about a known service does no harm.
            heard.unknown = []
        if heard.unknown and not heard.devices:
            self._refuse_unknown(" ".join(heard.unknown))
        if heard.devices or heard.nouns:
            device = self._device_with(pairs)
            own = [
                pair
                for pair in pairs
                if pair[0].registry_entry.id == device.registry_entry.id
            ]
            if not own:
                raise Refusal(self._no_service_of(device, name))
            return self._one_service(own, name)
        for mention in heard.places:
            pairs = [pair for pair in pairs if pair[0].registry_entry.id in mention.ids]
        if not pairs and self._named_services():
            raise Refusal(self.texts.get("not_exposed", device=name))
        if not pairs:
            raise Refusal(self.texts.get("no_device_with", service=name))
        device = self.one_of(list({pair[0].name: pair[0] for pair in pairs}.values()))
        own = [pair for pair in pairs if pair[0].name == device.name]
        return self._one_service(own, name)

    def _no_such_service(self, name: str) -> str:
        """Return that no device has a service, or ask which one is meant."""
        words = self.vocabulary.words
        self.heard.unknown = []
        device = self.device()
        if not name:
            names = [item.name for item in device.services if self.may_ask(item)]
            return self.texts.get(
                "which_service",
                device=device.name,
                services=self.texts.join(names, "or"),
            )
        if set(words.tokens(name)) & (words.known | words.common):
            # "Is music running on the kiosk": these words are no name.
            return self._unclear()
        return self.texts.get("no_service", device=device.name, service=name)

    def _no_service_of(self, device: VoiceTarget, name: str) -> str:
        """Return why a device has no service of a name that others have, or that is not exposed."""
        is_hidden = any(
            target.registry_entry.id == device.registry_entry.id
            for target, _ in self._named_services()
        )
        key = "not_exposed_service" if is_hidden else "no_service"
        return self.texts.get(key, device=device.name, service=name)

    def _one_service(
        self, pairs: list[tuple[VoiceTarget, VoiceTarget]], name: str
    ) -> tuple[VoiceTarget, VoiceTarget]:
        """Return the only service of a device. Apps can have services of the same name."""
        tokens = self.vocabulary.words.tokens
        exact = [pair for pair in pairs if " ".join(tokens(pair[1].name)) == name]
        pairs = exact or pairs
        if len(pairs) == 1:
            return pairs[0]
        names = [service.name for _, service in pairs]
        raise Refusal(self.texts.get("which", devices=self.texts.join(names, "or")))

    def _device_with(self, pairs: list[tuple[VoiceTarget, VoiceTarget]]) -> VoiceTarget:
        """Return the device, of several that a noun can mean the one that has the service."""
        if self.heard.devices or self.heard.unknown:
            return self.device()
        ids = set(self.targets)
        for mention in (*self.heard.nouns, *self.heard.places):
            ids &= mention.ids
        having = {pair[0].registry_entry.id for pair in pairs} & ids
        if self.heard.number is None and having:
            return self.one_of(self.visible(having))
        return self.device()


def satellite_area(hass: HomeAssistant, device_id: str | None) -> str | None:
    """Return the area of a voice satellite."""
    satellite = dr.async_get(hass).async_get(device_id) if device_id else None
    return dr.async_get_effective_area_id(hass, satellite) if satellite else None
