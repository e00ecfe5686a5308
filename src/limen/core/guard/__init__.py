"""The guard: who may come in, and who has misbehaved. Machines without I/O: the time comes as an argument."""
