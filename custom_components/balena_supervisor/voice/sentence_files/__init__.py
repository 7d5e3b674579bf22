"""Sentence files that people wrote for the first release keep working.

They are in the format of Home Assistant's custom sentences. Each sentence has an intent, and each
intent has a handler. The sentences of the integration itself need none of this.
"""
