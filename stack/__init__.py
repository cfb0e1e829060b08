"""Tidegate: serverless functions for the Internet of Things on your own machine."""
