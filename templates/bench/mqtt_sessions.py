"""Devices: so many sessions of MQTT 3.1.1 from one process, which are silent for a while and then publish with QoS 1.

Arguments: the broker's host and port, the user, whose password is in BENCH_PASSWORD, how many sessions, for how many
seconds they are silent, the seconds between two messages of a session, and for how many seconds they publish. Prints
`connected`, `publishing`, and at the end how many messages were sent and acknowledged, and how many connections lost.
"""

import asyncio
import os
import resource
import sys
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PING, DISCONNECT = 0x10, 0x20, 0x32, 0x40, b"\xc0\x00", b"\xe0\x00"
KEEP_ALIVE = 60
# Connections that are made at a time, and seconds between two looks at who has to send.
AT_ONCE, TICK = 100, 0.02
BODY = b'{"temperature": 21.5, "unit": "C"}'


class Session(asyncio.Protocol):
    """One device."""

    def __init__(self, name, user, password):
        self.name, self.login = name, (user, password)
        self.ready = asyncio.get_running_loop().create_future()
        self.sent = self.acknowledged = 0
        self.is_lost = False
        self._rest = b""

    def connection_made(self, transport):
        """Log in."""
        self.transport = transport
        head = text("MQTT") + bytes([4, 0b1100_0010]) + KEEP_ALIVE.to_bytes(2)
        transport.write(frame(CONNECT, head + text(self.name) + b"".join(map(text, self.login))))

    def data_received(self, data):
        """Count what is acknowledged; every packet that comes is shorter than 128 bytes."""
        self._rest += data
        while len(self._rest) >= 2 and len(self._rest) >= (size := 2 + self._rest[1]):
            packet, self._rest = self._rest[:size], self._rest[size:]
            kind = packet[0] & 0xF0
            if kind == CONNACK and not self.ready.done():
                self.ready.set_result(packet[3])
            self.acknowledged += kind == PUBACK

    def connection_lost(self, error):
        """Note it."""
        self.is_lost = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"{self.name} was not let in: {error}"))

    def publish(self):
        """Send a message."""
        self.sent += 1
        number = (self.sent % 0xFFFF or 1).to_bytes(2)
        self.transport.write(frame(PUBLISH, text(f"bench/{self.name}/temperature") + number + BODY))


def text(value):
    """Return a text with its length."""
    data = value.encode()
    return len(data).to_bytes(2) + data


def frame(kind, rest):
    """Return a packet; its length has one or two bytes."""
    size = len(rest)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([kind]) + length + rest


async def connect(host, port, session):
    """Log in, or end."""
    await asyncio.get_running_loop().create_connection(lambda: session, host, port)
    if refusal := await session.ready:
        sys.exit(f"refused: {refusal}")


async def take_turns(sessions, every, seconds, act):
    """Let each act once in so many seconds, spread evenly."""
    began, done = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * len(sessions) / every)
        for number in range(done, due):
            act(sessions[number % len(sessions)])
        done = max(done, due)
        await asyncio.sleep(TICK)


async def main(host, port, user, count, silent, every, seconds):
    """Be so many devices."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Each session is a file.
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sessions = [Session(f"d{number}", user, os.environ["BENCH_PASSWORD"]) for number in range(count)]
    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*(connect(host, port, one) for one in sessions[first : first + AT_ONCE]))
    print("connected", flush=True)
    await take_turns(sessions, KEEP_ALIVE * 0.75, silent, lambda one: one.transport.write(PING))
    print("publishing", flush=True)
    await take_turns(sessions, every, seconds, Session.publish)
    sent = sum(one.sent for one in sessions)
    for _ in range(1000):
        if (acknowledged := sum(one.acknowledged for one in sessions)) >= sent:
            break
        await asyncio.sleep(TICK)
    print(f"done {sent} {acknowledged} {sum(one.is_lost for one in sessions)}", flush=True)
    for one in sessions:
        one.transport.write(DISCONNECT)
        one.transport.close()


if __name__ == "__main__":
    host, port, user, count, silent, every, seconds = sys.argv[1:]
    asyncio.run(main(host, int(port), user, int(count), float(silent), float(every), float(seconds)))
