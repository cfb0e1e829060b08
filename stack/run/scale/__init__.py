"""Scaling: how many containers of a function run."""
