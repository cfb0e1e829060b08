"""Events from HTTP requests."""
