"""Alertmanager from outside: its HTTP API."""
