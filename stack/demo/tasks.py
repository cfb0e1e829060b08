"""The tasks of the temperature example: `invoke demo`, and its two ends."""

from invoke import Context

from stack.cli import JSON_HELP, verb


@verb(
    help={
        "count": "how many readings",
        "rate": "readings a second; 0 is as fast as it can",
        "protocol": "amqp or mqtt",
        "sensors": "how many sensors take turns",
    }
)
def client(_: Context, count: int = 10, rate: float = 1.0, protocol: str = "amqp", sensors: int = 1) -> None:
    """Send random temperatures, as a device would."""
    from stack.plan.device import SendRequest
    from stack.run.device import send_and_print

    send_and_print(SendRequest(count, rate, protocol, sensors))


@verb(
    help={
        "count": "how many messages to wait for; 0 goes on until Ctrl-C; of those that are kept, the last so many",
        "output": "keep them in this file: .jsonl, .csv or .sqlite",
        "service": "have the stack keep them from now on, without a terminal",
        "stop": "with --service: end that; what was kept stays",
        "kept": "print what the service has kept, or write it to a file, and end",
    }
)
def logger(
    _: Context, count: int = 0, output: str = "", service: bool = False, stop: bool = False, kept: bool = False
) -> None:
    """Print what the functions say on iot/logs, and keep it if told to."""
    from stack.run.feedback import LoggerRequest, run_logger

    run_logger(LoggerRequest(count, output, kept), service=service, stop=stop)


@verb(
    help={
        "count": "how many readings; over both protocols, so many over each",
        "rate": "readings a second; 0 is as fast as it can",
        "protocol": "amqp, mqtt or both",
        "sensors": "how many sensors take turns",
        "runtime": "python or nodejs, which is written into the functions' function.yaml; else as that says",
        "down": "stop the stack at the end",
        **JSON_HELP,
    }
)
def demo(
    _: Context,
    count: int = 20,
    rate: float = 5.0,
    protocol: str = "amqp",
    sensors: int = 1,
    runtime: str = "",
    down: bool = False,
    json: bool = False,
) -> None:
    """Run the temperature example from end to end, and tell what became of each reading."""
    from stack.demo.demo import run_demo
    from stack.plan.device import SendRequest

    run_demo(SendRequest(count, rate, protocol, sensors), runtime=runtime, down=down, as_json=json)
