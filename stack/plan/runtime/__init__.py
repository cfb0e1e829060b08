"""Runtimes, as the control plane plans them: each has a module with its one entry."""
