"""Forms for parts of function.yaml, made of the models' own JSON Schema."""
