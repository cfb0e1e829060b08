"""The benchmark: each module measures in one way what the rows of stack/plan/bench.py compare."""
