"""Functions that hang: while they are imported, for as long as there is a file."""

# How their code begins; they see the file as /data/hang.
HANG = """
import os
import time
from pathlib import Path

while Path("/data/hang").exists():
    time.sleep(0.2)
"""
# What their spec has for that, of a folder of this machine.
DATA = """
  volumes:
    - {{volume: {{name: data, hostPath: {{path: "{folder}"}}}}, volumeMount: {{name: data, mountPath: /data}}}}
"""
# Far less than what hangs is waited for, and enough for a machine that is busy.
SECONDS = 150.0
