"""Measures what the integration costs, for several numbers of devices."""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os

from .account import ACCOUNT, WITH_SERVICES
from .direct import DIRECT


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("devices", nargs="*", type=int, help="1 10 100")
    parser.add_argument(
        "--account", action="store_true", help="of an account (1 10 100 1000)"
    )
    parser.add_argument(
        "--services", action="store_true", help="of an account, also with services"
    )
    parser.add_argument("--rounds", type=int, default=41)
    options = parser.parse_args()
    if min(options.devices, default=1) < 1 or options.rounds < 2:
        parser.error("it takes a device and two rounds")
    if options.services and not options.account:
        parser.error("--services needs --account")
    for name in list(os.environ):
        # Nothing here is the device that this may run on.
        if name.startswith(("BALENA_", "RESIN_")):
            del os.environ[name]
    tables = [ACCOUNT] if options.account else [DIRECT]
    if options.services:
        tables.append(WITH_SERVICES)
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for table in tables:
            table.print(pool, options.devices, options.rounds)


if __name__ == "__main__":
    main()
