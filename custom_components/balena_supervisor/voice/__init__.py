"""Sentences about balena devices for Assist."""
