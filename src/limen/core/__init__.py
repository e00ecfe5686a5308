"""Machines without I/O: no await, no clock, no entropy, no socket; time and chance come as arguments."""
