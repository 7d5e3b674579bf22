"""Everything that can go wrong, at every endpoint, in everything that Home Assistant does with it.

table.py says what must happen; the tests only look. All of it runs with -m faults, a sample in every run.
"""
