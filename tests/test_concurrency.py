"""Whatever happens at once: commands, polls, entries that come and go, keys that change."""
