"""Devices that change addresses, keys, boards and network cards at random."""
