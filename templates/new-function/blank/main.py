"""Answers each event with its body."""


def handler(context, event):
    """Handle one event."""
    context.logger.info("Called")
    return event.body
