"""New functions: files that deploy and pass their own test as they are, one set for each kind of trigger."""

from stack.plan.template import fill

TRIGGERS = ("http", "amqp", "mqtt", "cron")
_FILES = ("function.yaml", "main.py", "test_main.py")

# What makes an event for the function, by its trigger; the clock needs nobody.
_EVENTS = {
    "http": "invoke invoke-function {name} --body 21.5",
    "amqp": "invoke client --protocol amqp --count 5",
    "mqtt": "invoke client --protocol mqtt --count 20 --rate 0",
}


def plan_scaffold(name: str, trigger: str) -> dict[str, bytes]:
    """Return the files of a new function, by their names."""
    return {file: fill(f"new-function/{trigger}/{file}", {"name": name}) for file in _FILES}


def next_steps(name: str, trigger: str, test: str) -> tuple[tuple[str, str], ...]:
    """Return what to type after a function was made: each a command, and what it does; `test` runs its test."""
    event = _EVENTS.get(trigger, "").format(name=name)
    return (
        (test, "runs its test, without Docker"),
        (f"invoke deploy-function {name}", "builds and starts it"),
        *(((event, "sends it something"),) if event else ()),
        (f"invoke logs {name} --follow", "shows what it does"),
    )
