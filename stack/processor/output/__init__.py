"""Outputs in a function's container: what a handler sends is kept until it has returned, and then sent."""
