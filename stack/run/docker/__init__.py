"""Docker: its engine, its builds, its containers."""
