"""What the container `devices` does: it tells the broker whether a device may log in."""
