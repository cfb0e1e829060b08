"""Docker from outside: the engine, builds, images, readiness."""
