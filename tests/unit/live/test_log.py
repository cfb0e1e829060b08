"""What containers have said, as the pages show it."""

import json

from stack.live.log import RecordReader, read_line


def test_half_of_a_surrogate_pair_breaks_no_page() -> None:
    text = json.dumps({"message": "\ud83d is half", "level": "info"})
    entry = RecordReader().read(read_line("c", f"2026-01-01T00:00:00Z {text}"))
    assert json.dumps(entry, ensure_ascii=False).encode()
    assert "is half" in entry["text"]
