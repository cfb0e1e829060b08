"""The dashboard: Nuclio's REST API and the pages, two faces over stack/run as tasks.py is."""
