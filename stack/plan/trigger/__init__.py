"""Triggers, as the control plane plans them: each kind has a module with its one entry."""
