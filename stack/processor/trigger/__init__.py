"""Triggers in a function's container: each kind has a module with its one entry, and what builds its events."""
