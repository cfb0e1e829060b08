"""For those who work on Tidegate: tests, checks, documentation, releases."""
