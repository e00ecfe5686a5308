"""Floor 2: bytes in and out. `wire` is the port; every other module is one adapter of it."""
