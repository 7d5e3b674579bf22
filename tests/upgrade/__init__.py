"""The current code loads what the first release stored, and continues."""
