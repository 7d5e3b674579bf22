"""Sentences that people say, and what must come of each."""
