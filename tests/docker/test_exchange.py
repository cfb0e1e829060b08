"""Functions from Nuclio, and for it, on the real stack."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path

import pika
import yaml

from tests.docker.workspace import Workspace, fetch, wait_until

Author = Callable[..., Path]

# The tutorial's own amqpconsume, with its routing key and its address of a broker elsewhere; the handler is Python.
CONSUME = """
apiVersion: "nuclio.io/v1"
kind: Function
metadata:
  name: amqpconsume
  namespace: nuclio
spec:
  handler: "main:handler"
  description: "Function the is called when a new message is arrived"
  runtime: python
  image: "nuclio/processor-amqpconsume:latest"
  minReplicas: 1
  maxReplicas: 1
  targetCPU: 75
  triggers:
    amqp:
      class: ""
      kind: rabbit-mq
      url: "amqp://guest:guest@172.16.15.52:5672"
      attributes:
        exchangeName: iot/sensors
        queueName: mi/sensors
        topics:
          - temeprature
  build:
    functionSourceCode: {code}
    codeEntryType: sourceCode
  platform: {{}}
"""
FEEDBACK = "def handler(context, event):\n    context.logger.info(f'TRIGGER {event.body.decode()}')\n"

SPEAKER = """
from pathlib import Path

from lib.words import WORD

def handler(context, event):
    return WORD + Path("/opt/nuclio/end").read_text()
"""


def test_the_tutorials_function_is_imported_and_runs(workspace: Workspace, author: Author) -> None:
    author("miconsume", "")
    text = CONSUME.format(code=base64.b64encode(FEEDBACK.encode()).decode())
    refused = workspace.invoke("import-function", "-", "--name", "miconsume", check=False, input=text)
    assert refused.returncode == 1
    assert "functions/miconsume: there already; --force overwrites its files" in refused.stderr
    done = workspace.invoke("import-function", "-", "--name", "miconsume", "--force", "--broker", input=text)
    assert "amqp://…@172.16.15.52:5672 is now amqp://rabbitmq-mqtt:5672" in done.stderr
    assert (workspace.root / "functions" / "miconsume" / "main.py").read_text() == FEEDBACK
    workspace.invoke("deploy-function", "miconsume")
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        connection.channel().basic_publish("iot/sensors", "temeprature", b"21.5")
    wait_until(lambda: "TRIGGER 21.5" in workspace.invoke("logs", "miconsume").stdout, seconds=60)


def test_one_exported_document_is_the_whole_function(workspace: Workspace, author: Author) -> None:
    others = {"lib/words.py": "WORD = 'well '\n", "end": "met", "test_main.py": "assert False\n"}
    folder = author("mispeak", SPEAKER, files=others)
    document = yaml.safe_load(workspace.invoke("export-function", "mispeak").stdout)
    document["metadata"]["name"] = "mialone"
    # As Nuclio runs it: nothing but the document, whose commands make the other files.
    alone = author("mialone", "", yaml.safe_dump(document))
    (alone / "main.py").unlink()
    workspace.invoke("deploy-function", "mialone")
    assert fetch(workspace.url("mialone")) == (200, "well met")
    shutil.rmtree(alone)
    workspace.invoke("import-function", "-", input=yaml.safe_dump(document))
    assert sorted(path.relative_to(alone).as_posix() for path in alone.rglob("*") if path.is_file()) == [
        "end",
        "function.yaml",
        "lib/words.py",
        "main.py",
    ]
    assert (alone / "main.py").read_bytes() == (folder / "main.py").read_bytes()
