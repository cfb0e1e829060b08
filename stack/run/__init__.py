"""The only code that touches Docker, the disk or the broker."""
