"""The reference for events that are sent ahead: a processor that sends each when the one before has an outcome."""

import sys

from stack.processor import pipeline
from stack.processor.__main__ import main

pipeline.MOST_AHEAD = 1

if __name__ == "__main__":
    sys.exit(main())
