"""The options of the demo."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn, override

from .home_assistant import ROOT
from .simulation import DESCRIPTIONS, OWN_DEVICES, ports

_MAX_PORT: Final = 65535


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        """Exit with one line, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def _number(text: str, first: int, last: int | None = None) -> int:
    """Return the number in a text. Raises ArgumentTypeError if it is not in the range."""
    try:
        number = int(text)
    except ValueError:
        number = first - 1
    if number < first or (last is not None and number > last):
        limits = f"{first} or more" if last is None else f"{first} to {last}"
        raise argparse.ArgumentTypeError(f"choose {limits} instead of {text}")
    return number


def _port(text: str) -> int:
    return _number(text, 1, _MAX_PORT)


def _count(text: str) -> int:
    return _number(text, 1)


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options. If they are invalid, exit with code 2 and one line on stderr."""
    parser = _Parser(
        prog="scripts/demo",
        description="Run a real Home Assistant with simulated devices.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n"
        + "\n".join(f"  {name:12} {text}" for name, text in DESCRIPTIONS.items()),
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8123,
        help="port of Home Assistant (default: 8123)",
    )
    parser.add_argument(
        "--device-port",
        type=_port,
        default=48484,
        help="port of the first device, or of the balena API (default: 48484)",
    )
    parser.add_argument("--devices", type=_count, help="number of devices (default: 1)")
    parser.add_argument(
        "--scenario",
        choices=DESCRIPTIONS,
        default="everyday",
        metavar="NAME",
        help="what happens to the devices; see below (default: everyday)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".demo",
        help="folder of Home Assistant (default: .demo)",
    )
    parser.add_argument(
        "--reset", action="store_true", help="delete the data of earlier runs"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show the whole log of Home Assistant"
    )
    options = parser.parse_args(arguments)
    if options.scenario in OWN_DEVICES and options.devices is not None:
        parser.error(
            f"--devices does not apply to --scenario {options.scenario}, which has its own devices"
        )
    options.devices = options.devices or 1
    taken = ports(options)
    span = f"the simulation needs the ports {taken[0]} to {taken[-1]}"
    if taken[0] < 1 or taken[-1] > _MAX_PORT:
        parser.error(f"choose another --device-port: {span}, of 1 to {_MAX_PORT}")
    if options.port in taken:
        parser.error(f"choose another --port: {span}")
    return options
