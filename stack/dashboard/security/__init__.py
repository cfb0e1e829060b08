"""Who may come in, and from where: hosts, logins, sessions and what browsers may do."""
