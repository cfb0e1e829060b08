"""The store of readings from outside: VictoriaMetrics' HTTP API."""
