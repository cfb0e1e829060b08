"""Docker Swarm: its tasks as containers, and what changes its services."""
