"""The reference pages of the documentation, written by what they describe: tasks, models, the API, metrics."""
