"""What is kept under .stack/: deployments, secrets, locks, logs."""
