"""Backup and restore, without Docker."""
