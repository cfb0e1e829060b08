"""The names of our own notes in the headers of messages, and of those that the broker adds."""

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
