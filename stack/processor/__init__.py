"""What runs inside a function's container; imports nothing else of stack."""
