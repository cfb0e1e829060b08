"""What the user wants: typed, validated, all errors at once, each with its path."""
