"""One balena device: its state, identity, polling, commands and logs."""
