"""Functions of Node.js on a real stack: their image, their packages, and the messages that they take ahead of time."""

import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pika
import pytest

from stack.config.settings import ImageSource, Settings
from stack.plan.account import Accounts
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import Inputs
from stack.plan.stack_image import render_images
from tests.docker.workspace import Broker, Workspace, run_docker
from tests.process.processor.running import FUNCTIONS, run_processor, wait_for
from tests.unit.plan.samples import KEY

SOURCE = """\
const amqp = require('amqplib');
const moment = require('moment');
const pad = require('left-pad');

exports.handler = (context, event) => {
  const { word, day } = JSON.parse(event.body);
  const parsed = { padded: pad(word, 5), year: moment(day).year() };
  context.callback({ amqp: typeof amqp.connect, ...parsed, node: process.version });
};

// @nuclio.configure
//
// function.yaml:
//   spec:
//     handler: main:handler
//     build:
//       commands:
//         - npm install amqplib@0.10.9
//         - npm install -g moment@2.30.1
//         - 'npm view moment@2.30.1 version --prefer-online # UNIQUE'
"""
PACKAGE = {"name": "padded", "version": "1.0.0", "dependencies": {"left-pad": "1.3.0"}}
LOCK = {
    "name": "padded",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": PACKAGE,
        "node_modules/left-pad": {
            "version": "1.3.0",
            "resolved": "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz",
            "integrity": (
                "sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA=="
            ),
        },
    },
}


def relay(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)


@contextmanager
def open_proxy() -> Iterator[tuple[str, list[str]]]:
    """Run a proxy that containers of builds reach; yield its address, and whom it was asked for."""
    address = run_docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").stdout
    asked: list[str] = []

    class Proxy(BaseRequestHandler):
        def handle(self) -> None:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += self.request.recv(1)
            asked.append(request.split()[1].decode())
            host, _, port = asked[-1].partition(":")
            with socket.create_connection((host, int(port)), 20) as peer:
                self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                Thread(target=relay, args=(peer, self.request), daemon=True).start()
                relay(self.request, peer)

    with ThreadingTCPServer((address.strip(), 0), Proxy) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{address.strip()}:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_packages_of_the_build_and_of_the_function(workspace: Workspace, tmp_path: Path) -> None:
    """Commands run at / before the code is there, behind a proxy; the lock file of package.json counts."""
    folder = workspace.write_function(
        "noded",
        "",
        "spec: {runtime: 'nodejs:22'}\n",
        {
            "main.js": SOURCE.replace("UNIQUE", uuid4().hex),
            "package.json": json.dumps(PACKAGE),
            "package-lock.json": json.dumps(LOCK),
        },
    )
    (folder / "main.py").unlink()
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "left-pad.js").write_text("throw new Error('of this machine');\n")
    with open_proxy() as (proxy, asked):
        environment = {"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost"}
        told = workspace.invoke("deploy-function", "noded", timeout=280, env=environment)
    assert set(asked) == {"registry.npmjs.org:443"}
    request = urllib.request.Request(workspace.url("noded"), b'{"word": "abc", "day": "2017-05-30"}')
    with urllib.request.urlopen(request, timeout=20) as answer:
        seen = json.load(answer)
    assert (seen["amqp"], seen["padded"], seen["year"]) == ("function", "  abc", 2017)
    version = seen["node"].removeprefix("v").partition(".")[0]
    sentence = f"asks for Node.js 22 and runs on Node.js {version}"
    assert (sentence in told.stderr) == (version != "22")
    listed = json.loads(workspace.invoke("status", "--json").stdout)
    (described,) = (one for one in listed if one["service"] == "function-noded")
    assert (described["runtime"], described["nodejs"], described["wanted_nodejs"]) == ("nodejs", version, "22")
    check_recipe_of_a_registry(workspace.inspect("function-noded")["Config"]["Image"], tmp_path)
    workspace.invoke("delete-function", "noded", "--yes")


def check_recipe_of_a_registry(image: str, folder: Path) -> None:
    """Build the image that functions share as where images are pulled: node is where the registry's has it."""
    inputs = Inputs(Settings(), BaseImages(ImageSource.REGISTRY, Archive("", ())), Accounts(KEY, GUEST_CREDENTIALS))
    (folder / "Dockerfile").write_bytes(render_images(inputs)["images/nodejs/Dockerfile"])
    names = {name: f"tidegate-test-{name}:{uuid4().hex[:8]}" for name in ("bare", "node", "both")}
    move = "cp -L $(command -v node) /usr/local/bin/moved && rm -f /usr/bin/node /usr/bin/nodejs"
    remove = "rm -rf /usr/local/lib/node_modules /usr/local/bin/np?"
    for name, command in {
        "node": "mv /usr/local/bin/moved /usr/local/bin/node",
        "bare": f"{remove} /usr/local/bin/moved",
    }.items():
        recipe = f"FROM {image}\nUSER root\nRUN {move} && {command}\n"
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", names[name], "-"],
            input=recipe,
            text=True,
            check=True,
            capture_output=True,
        )
    arguments = ["--build-arg", f"BASE={names['bare']}", "--build-arg", f"NODE={names['node']}"]
    run_docker("build", "--quiet", *arguments, "--tag", names["both"], str(folder))
    command = "cd /tmp && node -p 1+1 && npm root -g && npx --version && id -un"
    said = run_docker("run", "--rm", "--entrypoint", "sh", names["both"], "-c", command).stdout.split()
    run_docker("image", "rm", *names.values())
    assert (said[:2], said[3]) == (["2", "/usr/local/lib/node_modules"], "nuclio")


@pytest.fixture
def queue(session_broker: Broker) -> Iterator[tuple[str, Any]]:
    name = f"test-{uuid4().hex[:8]}"
    with ExitStack() as stack:
        connection = pika.BlockingConnection(pika.URLParameters(session_broker.workspace.people_url))
        stack.callback(connection.close)
        yield name, connection.channel()


def test_only_the_message_that_ends_the_process_is_blamed(
    queue: tuple[str, Any], session_broker: Broker, tmp_path: Path
) -> None:
    """Though others are sent ahead: each of them is handled, in order, and the one comes again after a while."""
    name, channel = queue
    attributes = {"queueName": name, "maxRetries": 1, "retryDelays": ["500ms"]}
    trigger = {"kind": "rabbit-mq", "url": session_broker.workspace.people_url, "attributes": attributes}
    spec = {"runtime": "nodejs", "handler": "counts:handler", "triggers": {"sensors": trigger}}
    with run_processor(tmp_path, spec, FUNCTIONS / "nodejs") as processor:
        processor.wait_until_ready()
        for number in range(300):
            channel.basic_publish("", name, f"ok {number}".encode())
        channel.basic_publish("", name, b"exit")
        for number in range(300, 400):
            channel.basic_publish("", name, f"ok {number}".encode())
        processor.wait_for_log("handled ok 399")
        wait_for(lambda: processor.log.count("handled exit") == 2)
        wait_for(lambda: re.search(r"dead_lettered_events_total\{.*\} 1", processor.metrics()))
        log = processor.log
    _, properties, body = channel.basic_get(f"{name}.dead", auto_ack=True)
    assert body == b"exit"
    assert "the worker died: it ended with exit status 9" in str(properties.headers)
    handled = [line.rpartition(" ")[2] for line in log.splitlines() if line.startswith("handled ok")]
    assert set(handled) == {str(number) for number in range(400)}
    assert log.count("handled exit") == 2
