"""Events by the clock."""
