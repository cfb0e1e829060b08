"""Devices: readings sent to the broker, as sensors would."""
