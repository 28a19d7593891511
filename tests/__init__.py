"""The tests. A package, so that its tools run as ``python -m tests.screenshots``."""
