"""Outputs: where a function sends what it makes. Each kind has a module with its model."""
