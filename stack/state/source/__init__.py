"""The code of functions that is elsewhere: fetched, unpacked, kept."""
