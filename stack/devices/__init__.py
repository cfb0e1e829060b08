"""The container `devices` and its client: it lets devices in, and knows which are there, and how each is to be."""
