"""Jobs: what the dashboard has done by child processes."""
