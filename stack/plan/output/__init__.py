"""Outputs as they are planned: what each kind needs of the broker, and where its box stands on the map."""
