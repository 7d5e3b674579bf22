"""What a sentence means, without Home Assistant."""

from dataclasses import dataclass, field

from .claims import Mention
from .kinds import Kind
from .quantity import NumberRole


@dataclass(slots=True)
class Heard:
    """What a sentence means."""

    kind: Kind
    meanings: frozenset[str] = frozenset()
    devices: list[Mention] = field(default_factory=list)
    services: list[Mention] = field(default_factory=list)
    places: list[Mention] = field(default_factory=list)
    nouns: list[Mention] = field(default_factory=list)
    number: int | None = None
    # Words that nothing claims, each group of neighbours as one text.
    unknown: list[str] = field(default_factory=list)
    # The words from the first to the last that an unknown name can consist of.
    misheard: str = ""
    # The words that name a group of devices, such as "kiosks in the shop".
    group: str = ""
    # Whether its noun has the case that it has after "on".
    has_case_of_on: bool = False
    # The same words as they were said.
    said_group: str = ""
    wants_all: bool = False
    is_plural: bool = False
    # Whether a question asks for the opposite: offline, stopped.
    is_negative: bool = False
    # Whether "not" or "no" is in a sentence. "Yes" and "no" would be ambiguous then.
    is_negated: bool = False
    # Whether a group means any of its devices: "a kiosk", "one of the kiosks".
    is_indefinite: bool = False
    # Whether it is about none of them: "no kiosk".
    is_none: bool = False
    # The devices with a service that is called like the only device that is named.
    rivals: frozenset[str] = frozenset()
    # Whether a group is one of the area of the voice satellite.
    is_here: bool = False
    # Whether the name of a device is also the name of an area or a floor.
    is_place_too: bool = False
    # What the number means.
    role: NumberRole | None = None

    @property
    def is_group(self) -> bool:
        """Whether a sentence is about a group of devices."""
        return not self.devices and (
            self.is_plural
            or bool({"devices_noun", "everything"} & self.meanings)
            or ("fleet_noun" in self.meanings and bool(self.places))
            or (self.wants_all and bool(self.nouns or self.places))
        )
