"""Runtimes in a function's container: each has a module with its one entry, which loads handlers."""
