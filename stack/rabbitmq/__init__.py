"""The broker from outside: its management API, messages, dead letters, devices."""
