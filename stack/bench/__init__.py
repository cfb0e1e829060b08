"""The benchmark: each figure beside that of a plain tool, in one run."""
