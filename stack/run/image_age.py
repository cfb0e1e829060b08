"""How old the images are that a stack stands on: packages in them get no repairs by themselves."""

from datetime import UTC, datetime

from stack.plan.image import haproxy_base, python_base, rabbitmq_base
from stack.plan.render import gateway_image, processor_image, rabbitmq_image
from stack.run.stack import Stack

# From then on `status` says what to do about it, and `upgrade` does it.
OLD_DAYS = 30
# Images that are built reproducibly tell a time long ago, or none.
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)


def find_age(stack: Stack) -> int | None:
    """Return the days since the oldest of the stack's base images was made; nothing if none is here or tells it."""
    inputs, settings, ground = stack.bare_inputs, stack.settings, stack.ground
    bases = {base(settings, ground) for base in (python_base, rabbitmq_base, haproxy_base)}
    names = bases | {rabbitmq_image(inputs), gateway_image(inputs), processor_image(inputs)}
    times = [one for one in stack.engine.image_times(names).values() if one > _EARLIEST]
    return (datetime.now(UTC) - min(times)).days if times else None


def describe_age(days: int) -> str:
    """Say how old the base images are, and what to do if they are old."""
    when = "today" if not days else "yesterday" if days == 1 else f"{days} days ago"
    advice = " `invoke upgrade` makes them again, of what is there now." if days >= OLD_DAYS else ""
    return f"The base images were made {when}.{advice}"
