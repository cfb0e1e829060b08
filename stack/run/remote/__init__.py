"""Dashboards elsewhere, over Nuclio's REST API."""
