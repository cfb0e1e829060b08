"""What the container `mdns` does: it tells this network at which address names such as tidegate.local are."""
