"""The load for round trips: publishes at a rate, takes the replies, and prints their percentiles in milliseconds.

Arguments: the broker's URL, the queue, the reply queue, the messages per second, and the seconds. What is sent in the
first quarter is not counted.
"""

import json
import sys
import time

import pika


class RoundTrip:
    """One connection that publishes and consumes."""

    def __init__(self, url, queue, reply, rate, seconds):
        self._queue = queue
        self._reply = reply
        self._pause = 1 / float(rate)
        self._total = int(float(rate) * float(seconds))
        self._sent = 0
        self._times = []
        self._connection = pika.SelectConnection(
            pika.URLParameters(url),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._begin),
        )

    def run(self):
        """Return the seconds that each message took, in the order of their arrival."""
        self._connection.ioloop.start()
        return self._times

    def _begin(self, channel):
        self._channel = channel
        channel.basic_consume(self._reply, self._take, auto_ack=True, callback=lambda _frame: self._start())

    def _start(self):
        self._due = time.monotonic()
        self._send()

    def _send(self):
        if self._sent == self._total:
            return
        self._sent += 1
        self._due += self._pause
        self._channel.basic_publish("", self._queue, str(time.monotonic_ns()).encode())
        self._connection.ioloop.call_later(max(0.0, self._due - time.monotonic()), self._send)

    def _take(self, channel, method, properties, body):
        self._times.append((time.monotonic_ns() - int(body)) / 1e6)
        if len(self._times) == self._total:
            self._connection.ioloop.stop()


def main(*arguments):
    """Run, and print."""
    times = RoundTrip(*arguments).run()
    counted = sorted(times[len(times) // 4 :])
    print(json.dumps({"p50": counted[len(counted) // 2], "p99": counted[len(counted) * 99 // 100]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
