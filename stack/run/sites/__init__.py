"""Many sites: stacks elsewhere that run the same functions."""
