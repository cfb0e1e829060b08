"""The reference for memory: bare Python with pika connected. The argument is the broker's URL."""

import sys

import pika


def main(url):
    """Be connected for ever."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    print("ready", flush=True)
    while True:
        connection.process_data_events(time_limit=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
