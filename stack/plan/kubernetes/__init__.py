"""The stack as objects of Kubernetes, of the same plan as Compose's: models in, files out."""
