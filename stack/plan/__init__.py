"""Pure: wishes in, data out. No Docker, no disk, no broker."""
