"""Deploys: from a folder or an older revision to what runs, and what is remembered of each."""
