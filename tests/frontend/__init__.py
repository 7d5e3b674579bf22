"""Tests of the JavaScript modules that need no browser."""
