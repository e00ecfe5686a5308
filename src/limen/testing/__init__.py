"""Public test suites of Limen's ports, and helpers for tests of programs: subclass a suite for your own adapter."""
