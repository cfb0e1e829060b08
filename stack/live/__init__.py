"""What the dashboard watches while somebody looks."""
