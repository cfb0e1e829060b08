"""Devices: added, shown, let in and locked out."""
