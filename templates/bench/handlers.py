"""The functions that are measured; each is as empty as its measurement lets it be."""

import os

import counter
import pika


def init_context(context):
    """Prepare what the handler that is measured needs."""
    data = context.user_data
    data.slot = int(context.worker_id)
    if "BENCH_COUNTER" in os.environ:
        data.counts = counter.open_counts()
    data.turns = range(int(os.environ.get("BENCH_TURNS", "0")))
    if "BENCH_REPLY" in os.environ:
        parameters = pika.URLParameters(os.environ["BENCH_URL"])
        parameters.heartbeat = 0
        data.channel = pika.BlockingConnection(parameters).channel()
        data.reply = os.environ["BENCH_REPLY"]


def count(context, event):
    """Count the event, and do nothing else."""
    context.user_data.counts[context.user_data.slot] += 1


def work(context, event):
    """Do a fixed amount of pure Python, then count."""
    for turn in context.user_data.turns:
        turn * turn
    context.user_data.counts[context.user_data.slot] += 1


def echo(context, event):
    """Answer with the body."""
    return event.body


def forward(context, event):
    """Send the body to the output, and count where that is asked for."""
    context.outputs.reply.send(event.body)
    if "BENCH_COUNTER" in os.environ:
        context.user_data.counts[context.user_data.slot] += 1


def reply(context, event):
    """Publish the body to the reply queue."""
    context.user_data.channel.basic_publish("", context.user_data.reply, event.body)
