"""The tasks about devices: who may log in at the broker, and on which topics each may speak."""

from invoke import Context

from stack.cli import JSON_HELP, verb

_LABELS = {"label": "NAME=VALUE; may be given several times"}


@verb(
    "action",
    "name",
    "method",
    iterable=["topics", "label", "set"],
    help={
        "action": "add, show, call, calls, rotate, revoke, remove, import, export or twin",
        "name": "the device's name, which is its user and client id; of import, the table",
        "method": "of call, what the device is to do",
        "data": "of call, JSON that goes with it",
        "wait": "of call, for how many seconds an answer is waited for",
        "expires": "of call, how long it is kept for a device that is away, such as 10m or 7d; an hour without it",
        "type": "a file of device-types/, without .yaml",
        "topics": "a topic filter on which it may publish and subscribe; may be given several times",
        "output": "of import, the file for the passwords; of export, the table; with --certificate, the folder",
        "program": "of add, rotate and show, print one with which it connects: python, nodejs, mosquitto, micropython, "
        "arduino or home-assistant",
        "certificate": "of add and rotate, a certificate in place of a password; NAME.key and NAME.pem are written",
        "set": "of twin, NAME=VALUE that is desired, such as fan=on or light.level=3; null takes it away; may be given "
        "several times",
        "reported": "of twin, show, or set, what the device reports, instead of what is desired",
        "history": "of twin, show the last changes",
        "version": "of twin, set it only if the part has this version",
        "qr": "of add and show, a QR code that makes a phone the device",
        "yes": "do not ask before a device is removed",
        **_LABELS,
        **JSON_HELP,
    },
)
def device(  # noqa: PLR0913 -- each is an option of the command line
    _: Context,
    action: str,
    name: str = "",
    method: str = "",
    data: str = "",
    wait: float = 10.0,
    expires: str = "",
    type: str = "",
    topics: list[str] | None = None,
    label: list[str] | None = None,
    output: str = "",
    program: str = "",
    certificate: bool = False,
    set: list[str] | None = None,
    reported: bool = False,
    history: bool = False,
    version: str = "",
    qr: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Add a device with a login of its own, show it, call it, give it a new password, lock it out, or remove it.

    Its twin is how it is to be and how it reports that it is, as two JSON documents.
    """
    from stack.run.devices.calls import CallCommand, handle_call
    from stack.run.devices.command import DeviceCommand, handle_device
    from stack.run.devices.twin import TwinCommand, handle_twin
    from stack.run.readings import read_labels

    if action in ("call", "calls"):
        handle_call(CallCommand(action, name, method, data, wait, expires), as_json=json)
        return
    if action == "twin":
        handle_twin(TwinCommand(name, tuple(set or ()), reported, history, version), as_json=json)
        return

    command = DeviceCommand(
        action,
        name,
        type,
        tuple(topics or ()),
        read_labels(label or ()),
        output,
        yes,
        program,
        has_certificate=certificate,
        qr=qr,
    )
    handle_device(command, as_json=json)


@verb("words", iterable=["label"], help={"words": "a part of their name, type or labels", **_LABELS, **JSON_HELP})
def devices(_: Context, words: str = "", label: list[str] | None = None, json: bool = False) -> None:
    """List devices."""
    from stack.run.devices.show import print_devices
    from stack.run.readings import read_labels

    print_devices(words, read_labels(label or ()), as_json=json)
