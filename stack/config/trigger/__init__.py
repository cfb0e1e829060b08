"""Triggers: what makes a function run. Each kind has a module with its model; the facts are Nuclio's."""
