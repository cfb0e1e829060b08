"""What the processor in a function's container and the control plane agree on, written once.

Both import it, and each health check of a container does: so it has the standard library alone, and little of that.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final

# Ports of a function's container: the http trigger's, that of /ready, /live and /status, and that of /metrics.
HTTP_PORT, HEALTH_PORT, METRICS_PORT = 8080, 8082, 8090

# The variable that holds the eventTimeout of functions that name none, in seconds.
TIMEOUT_VARIABLE = "TIDEGATE_EVENT_TIMEOUT"

# The variable that holds how many nodes the stack's broker has, where it has several.
NODES_VARIABLE = "TIDEGATE_BROKER_NODES"

# Kinds of triggers, in the order in which they are offered, and the module that each has in stack/config/trigger,
# stack/plan/trigger and stack/processor/trigger; and Nuclio's other names of one of them. Every function has one of
# the first kind unless its function.yaml says otherwise.
HTTP: Final = "http"
KINDS = {HTTP: "http", "rabbit-mq": "rabbitmq", "mqtt": "mqtt", "cron": "cron"}
ALIASES = {"rabbitMq": "rabbit-mq", "rabbitmq": "rabbit-mq"}

# Kinds of outputs, in the order in which they are told, and the module that each has in stack/config/output,
# stack/plan/output and stack/processor/output.
OUTPUTS = {"rabbit-mq": "rabbitmq", "mqtt": "mqtt", "http": "http", "function": "function"}
# Keywords of `send` of an output, which therefore can be no placeholders.
SEND_KEYWORDS = ("body", "key", "headers", "correlation_id", "now")

# Runtimes, each the name of its module in stack/processor/runtime; stack/config/runtime.py has what the control plane
# knows of them. The first is that of functions that name none.
PYTHON, NODEJS = "python", "nodejs"
RUNTIMES = (PYTHON, NODEJS)

# Secrets of the stack's broker that a function's container may have, as NAME.KEY: the AMQP URL, the MQTT URL, and the
# key, as hexadecimal text, that the copies of failed messages are signed with.
BROKER_URL, BROKER_MQTT_URL, SIGNATURE_KEY = "broker.url", "broker.mqtt", "broker.signature-key"

# The file of the store's URL among the secrets, and the variable with the recorder's rules as JSON.
STORE_URL, RULES_VARIABLE = "data.url", "TIDEGATE_KEEP"

# Where a function of Tidegate's own keeps what it has to, and the variable with how many bytes the logger does.
FEEDBACK_FOLDER, FEEDBACK_BYTES = "/var/lib/tidegate", "TIDEGATE_FEEDBACK_BYTES"

# The queue, and the topic, whose messages are alerts; the alerter, and its queue, which gets copies of them; and the
# variables with where Alertmanager is, and, as JSON, after how many seconds alerts of which severity get the label with
# which others are told of them, too.
ALERTS, ALERTER = "iot/alerts", "tidegate-alerts"
ALERTMANAGER_URL, ESCALATION_VARIABLE = "TIDEGATE_ALERTMANAGER", "TIDEGATE_ESCALATION"
# What labels begin with that no series has but those that Tidegate makes, and that label.
OWN_LABELS = "tidegate_"
ESCALATION = f"{OWN_LABELS}escalation"
# The header by which RabbitMQ puts a message into more queues; it takes the header away.
COPIES = "BCC"

# What follows a queue's name in those of its dead letters, and of its messages that are tried again after a delay.
DEAD, RETRY = ".dead", ".retry."


def name_queue(namespace: str, function: str, trigger: str = "") -> str:
    """Return the queue of a trigger that names none; without a trigger it is Nuclio's own, one for each function."""
    own = f"nuclio-{namespace}-{function}"
    return f"{own}-{trigger}" if trigger else own


def name_lock(namespace: str, function: str, *, trigger: str) -> str:
    """Return the queue of which one consumer at a time, the active replica, runs the trigger."""
    return f"nuclio-{namespace}-{function}-{trigger}.lock"


def name_retry_queue(queue: str, seconds: float) -> str:
    """Return the queue in which a queue's failed messages wait for so long."""
    return f"{queue}{RETRY}{round(seconds * 1000)}ms"


# Headers of a failed message's copy, which say how it failed and where it was first published.
ATTEMPTS = "x-nuclio-attempts"
EXCHANGE = "x-nuclio-exchange"
ROUTING_KEY = "x-nuclio-routing-key"
FUNCTION = "x-nuclio-function"
ERROR = "x-nuclio-error"
TRACEBACK = "x-nuclio-traceback"
FIRST_FAILED = "x-nuclio-first-failed"
LAST_FAILED = "x-nuclio-last-failed"
SIGNATURE = "x-nuclio-signature"
# The names of headers for which there was no room beside the notes.
LEFT_OUT = "x-nuclio-left-out"
NOTES = frozenset(
    (ATTEMPTS, EXCHANGE, ROUTING_KEY, FUNCTION, ERROR, TRACEBACK, FIRST_FAILED, LAST_FAILED, LEFT_OUT, SIGNATURE)
)
# What the broker writes when a message expires, and how often it was delivered.
DEATHS = frozenset(
    ("x-death", *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason")))
)
DELIVERY_COUNT = "x-delivery-count"
DELIVERIES = frozenset((DELIVERY_COUNT, "x-acquired-count"))

# The header of a handler's answer that says, with `no`, that its event is not to be tried again.
RETRY_HEADER = "x-nuclio-retry"

# Headers of a request that asks for the log of its event, from a level onwards, and of the response that has it.
LOG_LEVEL, LOGS = "X-Nuclio-Log-Level", "x-nuclio-logs"

# The header of a message that came over a bridge, and that with when the first broker took it, in milliseconds.
SHOVELLED, TAKEN = "x-shovelled", "timestamp_in_ms"

# MQTT's topics as RabbitMQ writes them in AMQP: the routing key of a topic, or the binding key of a filter. It leaves a
# dot of a topic as it is, so that for AMQP, and back in MQTT, it is as good as a slash (seen with RabbitMQ 4.0).
_TO_KEY = str.maketrans("/+", ".*")
_TO_TOPIC = str.maketrans(".*", "/+")
# Where RabbitMQ publishes what MQTT clients send; it exists in every virtual host.
MQTT_EXCHANGE = "amq.topic"


# The header in which RabbitMQ gives AMQP clients the Response Topic of MQTT 5, as a routing key; and what the topics
# begin with at which a function answers. Else who may publish to one topic could have a function publish to any.
RESPONSE_TOPIC, RESPONSES = "x-reply-to-topic", "tidegate/response/"
# Where functions ask the service of devices for calls and for twins.
CALL_REQUESTS, TWIN_REQUESTS = "tidegate/requests/call", "tidegate/requests/twin"
# Seconds that a device's answer is waited for where no one says otherwise, and at most.
CALL_WAIT, MOST_CALL_WAIT = 10.0, 300.0

# What the topics begin with on which the stack and a device speak of the device itself.
DEVICE_TOPICS = "tidegate/devices"


def device_topic(device: str, what: str) -> str:
    """Return a topic of the stack's own about a device, such as `presence`."""
    return f"{DEVICE_TOPICS}/{device}/{what}"


def to_key(topic: str) -> str:
    """Return the routing key, or the binding key of a filter, that RabbitMQ makes of a topic."""
    return topic.translate(_TO_KEY)


def to_topic(key: str) -> str:
    """Return the topic that RabbitMQ makes of a routing key."""
    return key.translate(_TO_TOPIC)


_PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")


def list_placeholders(text: str) -> tuple[str, ...]:
    """Return the names that stand in braces in a topic or routing key, such as `id` of plant/{id}/cmd.

    Raises:
        ValueError: a brace is alone, or what it holds is no name that `send` could be given.
    """
    if "{" in (rest := _PLACEHOLDER.sub("", text)) or "}" in rest:
        raise ValueError(f"should have placeholders such as plant/{{id}}/cmd, each a name in braces, not {text!r}")
    names = tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))
    if taken := sorted(set(names).intersection(SEND_KEYWORDS)):
        raise ValueError(f"{{{taken[0]}}} can be no placeholder, since send() has a parameter of this name: {text!r}")
    return names


def fill_placeholders(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its placeholders replaced.

    Raises:
        KeyError: one has no value.
    """
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)


# Seconds in each unit of Go's time.ParseDuration.
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
# Go counts nanoseconds in 64 bits; these are the whole hours that fit, and leave room for a margin.
_MOST_HOURS = 2_562_047
_SHOWN = 40


def parse_duration(text: str) -> float:
    """Return the seconds that a duration means, in Go's notation: 500ms, 10s, 1h30m.

    Raises:
        ValueError: the text is not a duration, or a longer one than Go, and so Docker, can say.
    """
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"should be a duration such as 500ms, 10s or 1h30m, not {text!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _MOST_HOURS * _UNITS["h"]:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise ValueError(f"should be a duration of at most {_MOST_HOURS}h, not {shown!r}")
    return seconds


_DAYS = re.compile(r"\d+(\.\d+)?d")
_DAY_SECONDS = 24 * 3600.0


def parse_days(text: str) -> float:
    """Return the seconds of a duration that may also be days, such as 7d.

    Raises:
        ValueError: the text is neither.
    """
    return float(text[:-1]) * _DAY_SECONDS if _DAYS.fullmatch(text) else parse_duration(text)


# Who calls over HTTP. Tracebacks and logs tell more of a function than those who call it should know. Tidegate's own
# programs add the time, in seconds since the epoch, and its HMAC by the function's key to their calls; what a proof is
# worth ends after minutes, should a handler show the headers that it was given to others.
CALLER_HEADER = "X-Tidegate-Caller"
_CALLER_LABEL = b"caller:"
_CALLER_SECONDS = 300.0


def prove(key: bytes, now: float) -> str:
    """Return the value of the header by which Tidegate's own programs are known."""
    time = str(int(now))
    return f"{time}.{_sign(key, time)}"


def is_proof(value: str, key: bytes, *, now: float) -> bool:
    """Return whether a value was made with a function's key, and lately; without a key none is."""
    time, _, signature = value.partition(".")
    if not key or not time.isascii() or not time.isdigit() or len(time) > 12 or abs(now - int(time)) > _CALLER_SECONDS:
        return False
    return hmac.compare_digest(signature.encode(errors="replace"), _sign(key, time).encode())


def _sign(key: bytes, time: str) -> str:
    return hmac.digest(key, _CALLER_LABEL + time.encode(), "sha256").hex()
