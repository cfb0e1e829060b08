"""Watching what runs, as it goes: Docker, the broker and the functions, without a process and without a thread each."""
