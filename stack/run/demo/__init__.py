"""The demo: the tutorial's example from end to end."""
