"""Backup: the whole stack in one file, and back again."""
