"""The catalogue: functions and what belongs to them as files, made, kept, listed and exchanged."""
