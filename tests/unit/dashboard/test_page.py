from stack.dashboard.page import mark_code


def test_commands_in_backticks_are_code() -> None:
    assert mark_code("Type `invoke up`, then `again`.") == "Type <code>invoke up</code>, then <code>again</code>."


def test_nothing_of_a_message_is_markup() -> None:
    assert mark_code("<b> `<i>`") == "&lt;b&gt; <code>&lt;i&gt;</code>"


def test_backtick_without_its_other_is_a_backtick() -> None:
    assert mark_code("one ` alone") == "one ` alone"
