"""The temperature example from end to end."""
