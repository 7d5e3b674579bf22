"""The fault matrix: every fault at every endpoint, while polling, at setup and in commands.

cases.py defines what must happen. The full matrix runs with -m faults; every run has a sample.
"""
