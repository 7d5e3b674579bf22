"""One balena account: its poll, its fleets and its devices."""
