"""Secrets, credentials, and who may come in."""
