"""Provisioning: bringing a machine to where the stack can run."""
