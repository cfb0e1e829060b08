"""Devices as their user adds, lists and removes them, without a broker: `up` tells it later."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from unittest.mock import Mock

import pytest

from stack.devices.login import may_log_in
from stack.docker.node import Node
from stack.docker.stack import open_stack
from stack.errors import HostError, StackError
from stack.plan.swarm import NODE_LABEL
from stack.run.devices.command import DeviceCommand, handle_device
from stack.run.devices.connection import find_endpoint
from stack.run.devices.guest import renew_credentials
from stack.run.devices.show import print_devices
from stack.state.account_use import AccountUse, Login, UseLog, save_use_log
from stack.state.devices import list_logins, load_registry
from stack.state.tls import load_revoked, make_tls, read_certificate
from stack.state.workspace import Workspace


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    # A port at which nothing answers.
    (tmp_path / "stack.yaml").write_text("project: none-of-these\nports: {management: 9}\n")
    (tmp_path / "device-types").mkdir()
    (tmp_path / "device-types" / "sensor.yaml").write_text('publish: ["plant/{id}/+"]\n')
    return tmp_path


def order(action: str, name: str = "", capsys: pytest.CaptureFixture[str] | None = None, **more: object) -> str:
    handle_device(DeviceCommand(action, name, **more), as_json=True)  # type: ignore[arg-type]
    return capsys.readouterr().out if capsys else ""


def can_log_in(workspace: Path, name: str, password: str, **fields: str) -> bool:
    return may_log_in(Workspace(workspace), {"username": name, "password": password, "vhost": "/", **fields})


def test_a_device_is_a_file_without_its_password(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = json.loads(order("add", "pump-7", capsys, type="sensor", labels={"site": "hall 2"}))
    assert added["publish"] == ["plant/pump-7/+"]
    text = (workspace / "devices" / "pump-7.yaml").read_text()
    assert text == "type: sensor\nlabels:\n  site: hall 2\n"
    kept = workspace / ".stack" / "secrets" / "devices" / "pump-7"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert added["password"] not in kept.read_text()


def test_only_the_password_and_client_id_of_its_own_let_it_in(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (json.loads(order("add", name, capsys))["password"] for name in ("a", "b"))
    assert can_log_in(workspace, "a", first)
    assert can_log_in(workspace, "a", first, client_id="a")
    assert not can_log_in(workspace, "a", first, client_id="b")
    assert not can_log_in(workspace, "a", second)
    assert not can_log_in(workspace, "a", "")
    assert not can_log_in(workspace, "../devices/a", first)
    assert not can_log_in(workspace, "c", first)
    assert not may_log_in(Workspace(workspace), {})


def test_a_certificate_is_revoked_for_good(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the device is let in again, or another gets its name."""
    with pytest.raises(StackError, match="`invoke certificates`, then `invoke up`"):
        order("add", "a", has_certificate=True)
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    serials = [read_serial(json.loads(order("add", "a", capsys, has_certificate=True)))]
    assert not can_log_in(workspace, "a", "")
    serials.append(read_serial(json.loads(order("rotate", "a", capsys))))
    order("revoke", "a")
    serials.append(read_serial(json.loads(order("rotate", "a", capsys, has_certificate=True))))
    order("remove", "a", yes=True)
    json.loads(order("add", "a", capsys))
    assert list(load_revoked(Workspace(workspace))) == serials
    assert len(set(serials)) == 3


@pytest.mark.parametrize("action", ["revoke", "remove", "import"])
def test_a_certificate_ends_also_where_the_file_is_gone(
    action: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    serial = read_serial(json.loads(order("add", "a", capsys, has_certificate=True)))
    (workspace / "devices" / "a.yaml").unlink()
    print_devices("", {}, as_json=True)
    assert "files are gone: a. `invoke device remove a` ends one" in " ".join(capsys.readouterr().err.split())
    table = workspace / "pumps.csv"
    table.write_text("name,mayLogIn\na,no\n")
    order(action, str(table) if action == "import" else "a", output=str(workspace / "new.csv"), yes=True)
    assert list(load_revoked(Workspace(workspace))) == [serial]
    assert not list_logins(Workspace(workspace))


def test_a_key_is_written_for_its_owner_alone(workspace: Path) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    handle_device(DeviceCommand("add", "a", output=str(workspace / "keys"), has_certificate=True), as_json=False)
    key, certificate = (workspace / "keys" / name for name in ("a.key", "a.pem"))
    assert key.stat().st_mode & 0o777 == 0o600
    assert read_certificate(certificate.read_bytes()).subject.rfc4514_string() == "CN=a"


def test_what_was_locked_out_is_let_in_again_as_it_was(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    for has_certificate, advice in (
        (True, "rotate a --certificate` lets it in again, with a new certificate"),
        (False, "rotate a` lets it in again, with a new password"),
    ):
        order("add", "a", has_certificate=has_certificate)
        order("revoke", "a")
        output = capsys.readouterr()
        assert advice in " ".join((output.out + output.err).split())
        order("remove", "a", yes=True)


def test_a_certificate_stays_where_another_cannot_be_written(workspace: Path) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    keys, other = workspace / "keys", workspace / "other"
    handle_device(DeviceCommand("add", "a", output=str(keys), has_certificate=True), as_json=False)
    before = {path: path.read_bytes() for path in keys.iterdir()}
    with pytest.raises(HostError, match=r"a\.key is there already\. Name another --output"):
        handle_device(DeviceCommand("rotate", "a", output=str(keys)), as_json=False)
    other.mkdir()
    (other / "authority.pem").write_text("of another")
    with pytest.raises(HostError, match=r"authority\.pem is there already, of another authority"):
        handle_device(DeviceCommand("rotate", "a", output=str(other)), as_json=False)
    with pytest.raises(HostError, match=r"stack\.yaml/keys cannot be written"):
        handle_device(DeviceCommand("rotate", "a", output=str(workspace / "stack.yaml" / "keys")), as_json=False)
    with pytest.raises(StackError, match="There is no device b"):
        handle_device(DeviceCommand("rotate", "b", output=str(keys), has_certificate=True), as_json=False)
    assert {path: path.read_bytes() for path in keys.iterdir()} == before
    assert not load_revoked(Workspace(workspace))


def test_a_key_that_cannot_be_written_is_told_with_how_to_make_another(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    full = Mock(side_effect=HostError("a.key cannot be written: No space left on device."))
    monkeypatch.setattr("stack.run.devices.command.write_file", full)
    with pytest.raises(
        HostError, match=r"No space left .* The device is there; `invoke device rotate a --output FOLDER`"
    ):
        handle_device(DeviceCommand("add", "a", output=str(workspace), has_certificate=True), as_json=False)


def test_a_device_trusts_the_authority_of_the_users_own_certificate(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {certificate: own.pem, key: own.key}\n")
    assert json.loads(order("add", "a", capsys, has_certificate=True))["authority"] == ""
    handle_device(DeviceCommand("add", "b", output=str(workspace / "keys"), has_certificate=True), as_json=False)
    assert {path.name for path in (workspace / "keys").iterdir()} == {"b.key", "b.pem"}
    assert "authority: that of tls.certificate, your own" in capsys.readouterr().out


def read_serial(added: dict[str, str]) -> str:
    assert "password" not in added
    return f"{read_certificate(added['certificate'].encode()).serial_number:x}"


def test_rotated_revoked_removed(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads(order("add", "a", capsys))["password"]
    second = json.loads(order("rotate", "a", capsys))["password"]
    assert (can_log_in(workspace, "a", first), can_log_in(workspace, "a", second)) == (False, True)
    order("revoke", "a")
    assert not can_log_in(workspace, "a", second)
    assert json.loads(order("show", "a", capsys))["mayLogIn"] is False
    order("remove", "a", yes=True)
    with pytest.raises(StackError, match="There is no device a"):
        order("show", "a")


def test_it_is_told_how_it_connects_and_with_which_program(capsys: pytest.CaptureFixture[str]) -> None:
    added = json.loads(order("add", "a", capsys))
    assert (added["host"], added["port"], added["amqpPort"], added["tls"]) == ("127.0.0.1", 1883, 5672, False)
    assert "bind: 0.0.0.0" in added["advice"]
    program = order("rotate", "a", capsys, program="python")
    assert 'client.connect("127.0.0.1", 1883)' in program and "ITS-PASSWORD" not in program
    assert 'password: "ITS-PASSWORD"' in order("show", "a", capsys, program="nodejs")
    for action in ("rotate", "show"):
        with pytest.raises(StackError, match="There is no program 'cobol'; name one of arduino"):
            order(action, "a", program="cobol")


def test_with_tls_it_is_told_whom_to_trust(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("bind: 0.0.0.0\ntls: {names: [plant.example]}\n")
    make_tls(Workspace(workspace), open_stack().settings, names=["plant.example"])
    added = json.loads(order("add", "a", capsys))
    assert (added["host"], added["port"], added["amqpPort"], added["tls"]) == ("plant.example", 8883, 5671, True)
    assert added["authority"].startswith("-----BEGIN CERTIFICATE-----") and added["advice"] == ""
    assert re.fullmatch("[0-9A-F]{2}(:[0-9A-F]{2}){31}", added["fingerprint"])
    assert added["authority"] in order("show", "a", capsys, program="python")
    link = json.loads(order("show", "a", capsys, qr=True))["link"]
    assert re.fullmatch(r"https://plant\.example:8443/phone/[\w-]{27}", link)


def test_a_phone_needs_tls_and_nothing_is_added_without(workspace: Path) -> None:
    with pytest.raises(StackError, match=r"over TLS only\. Type `invoke certificates`"):
        order("add", "a", qr=True)
    assert not (workspace / "devices").exists()


def test_code_is_drawn_in_the_terminal(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("tls: {enabled: true}\n")
    handle_device(DeviceCommand("add", "a", qr=True), as_json=False)
    told = capsys.readouterr()
    assert "\N{UPPER HALF BLOCK}" in told.out and "https://127.0.0.1:8443/phone/" in told.out
    assert "it works once" in told.err and "Only this machine reaches that address" in told.err


@pytest.mark.parametrize(
    ("bind", "seen_as", "host"),
    [
        ("0.0.0.0", "plant.local", "plant.local"),
        ("0.0.0.0", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.9", "plant.local", "192.0.2.9"),
        ("127.0.0.1", "plant.local", "127.0.0.1"),
    ],
)
def test_it_finds_the_broker_where_this_machine_was_found(workspace: Path, bind: str, seen_as: str, host: str) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write(f"bind: {bind}\n")
    endpoint = find_endpoint(open_stack(), seen_as)
    assert endpoint.host == host
    assert bool(endpoint.advice) is (bind == "127.0.0.1")


def test_it_finds_every_node_of_the_broker(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = open_stack().settings.project
    labels = {"10.0.0.1": {}, "10.0.0.2": {f"{NODE_LABEL}{project}": "2"}, "10.0.0.3": {f"{NODE_LABEL}{project}": "3"}}
    machines = [Node(one, one, "manager", "active", "ready", one, own) for one, own in labels.items()]
    monkeypatch.setattr("stack.run.devices.connection.fetch_nodes", lambda: machines)
    assert find_endpoint(open_stack()).others == ()
    with (workspace / "stack.yaml").open("a") as file:
        file.write("engine: swarm\nbroker: {nodes: 3}\n")
    assert find_endpoint(open_stack()).others == ("10.0.0.2", "10.0.0.3")


def test_a_wide_stack_is_reached_at_no_address_of_its_own_alone(workspace: Path) -> None:
    with (workspace / "stack.yaml").open("a") as file:
        file.write("bind: 0.0.0.0\n")
    for seen_as in ("", "localhost", "127.0.0.1", "stack.localhost"):
        assert not find_endpoint(open_stack(), seen_as).host.startswith(("127.", "local", "stack"))


@pytest.mark.parametrize(
    ("action", "name", "more", "message"),
    [
        ("add", "a b", {}, "letters, digits"),
        ("add", "guest", {}, "account of the stack's own"),
        ("add", "a", {"type": "pump"}, "there is no device-types/pump.yaml. There are: sensor"),
        ("add", "a", {"topics": ("a/#/b",)}, "topics.0: # should stand alone at the end"),
        ("add", "a", {"topics": ("tidegate/devices/b/cmd/+",)}, "topics.0: should be no topic of the stack's own"),
        ("add", "", {}, "Name the device"),
        ("import", "", {}, "invoke device import FILE.csv"),
        ("import", "nothing.csv", {}, "cannot be read"),
        ("show", "z", {}, "There is no device z"),
        ("rotate", "z", {}, "There is no device z"),
        ("remove", "z", {"yes": True}, "There is no device z"),
        ("forget", "a", {}, "There is no `device forget`"),
    ],
)
def test_what_is_wrong_is_told_and_leaves_nothing(
    action: str, name: str, more: dict[str, object], message: str, workspace: Path
) -> None:
    with pytest.raises(StackError, match=message):
        order(action, name, **more)  # type: ignore[arg-type]
    assert not list((workspace / "devices").glob("*"))


def test_a_second_of_the_same_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    order("add", "a", capsys)
    with pytest.raises(StackError, match="There is a device a already"):
        order("add", "a")


def test_a_wrong_file_takes_no_other_away(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order("add", "a", capsys)
    (workspace / "devices" / "b.yaml").write_text("topcs: [x]\n")
    (workspace / "devices" / "c.yaml").write_text("topics: [x\n")
    (workspace / "devices" / "d e.yaml").write_text("{}\n")
    registry = load_registry(Workspace(workspace))
    assert list(registry.devices) == ["a"]
    found = [one.partition(":")[0] for one in registry.problems]
    assert sorted(found) == ["devices/b.yaml", "devices/c.yaml", "devices/d e.yaml"]
    with pytest.raises(StackError, match="topcs: is not a known key"):
        order("show", "b")


def test_a_table_is_imported_and_exported(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = workspace / "pumps.csv"
    table.write_text("name,type,topics,label.site\np1,sensor,,hall-1\np2,,plant/p2/# x/+,\n", "utf-8-sig")
    order("import", str(table), output=str(workspace / "words.csv"))
    with (workspace / "words.csv").open() as file:
        words = {row["name"]: row["password"] for row in csv.DictReader(file)}
    assert (workspace / "words.csv").stat().st_mode & 0o777 == 0o600
    assert all(can_log_in(workspace, name, word) for name, word in words.items())
    capsys.readouterr()
    exported = order("export", "", capsys)
    assert exported.splitlines() == [
        "name,type,topics,label.site,mayLogIn",
        "p1,sensor,,hall-1,yes",
        "p2,,plant/p2/# x/+,,yes",
    ]
    with pytest.raises(StackError, match="line 2: There is a device p1 already"):
        order("import", str(table), output=str(workspace / "more.csv"))


@contextmanager
def open_full(_path: Path) -> Iterator[TextIO]:
    """Open a file on a disk that is full."""
    with Path("/dev/full").open("w") as file:
        yield file


def test_no_device_is_added_whose_password_cannot_be_written(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "a.csv").write_text("name,mayLogIn\na,yes\nb,no\n")
    with monkeypatch.context() as full:
        full.setattr("stack.run.devices.table.open_private", open_full)
        with pytest.raises(StackError, match=r"words\.csv cannot be written: No space left .*No device was added"):
            order("import", str(workspace / "a.csv"), output=str(workspace / "words.csv"))
    assert not load_registry(Workspace(workspace)).devices
    assert not list_logins(Workspace(workspace))
    order("import", str(workspace / "a.csv"), output=str(workspace / "words.csv"))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_of_a_spreadsheet_is_imported(workspace: Path, mark: str) -> None:
    rows = (("name", "type", "label.site"), ("a", "sensor", "1,5 m"))
    (workspace / "a.csv").write_text("\r\n".join(map(mark.join, rows)), "utf-8-sig")
    order("import", str(workspace / "a.csv"), output=str(workspace / "words.csv"))
    assert load_registry(Workspace(workspace)).devices["a"].device.labels == {"site": "1,5 m"}


def test_a_table_comes_back_as_it_went(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "name,type,topics,publish,subscribe,description,rate,label.site,mayLogIn\n"
    text = header + 'a,,,x/# y,z,"a, b",2 kB/s,s,yes\nb,,t,,,,,,no\n'
    (workspace / "a.csv").write_text(text)
    order("import", str(workspace / "a.csv"), output=str(workspace / "words.csv"))
    assert [line.partition(",")[0] for line in (workspace / "words.csv").read_text().splitlines()] == ["name", "a"]
    capsys.readouterr()
    assert order("export", "", capsys) == text
    assert json.loads(order("show", "b", capsys))["mayLogIn"] is False


def test_a_table_of_devices_that_may_not_log_in_leaves_guest(workspace: Path) -> None:
    (workspace / "a.csv").write_text("name,mayLogIn\na,no\n")
    order("import", str(workspace / "a.csv"), output=str(workspace / "words.csv"))
    assert open_stack().credentials.is_guest


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name\n", "there is no device in it"),
        ("", "the columns should be"),
        ("name,topics\na,x/1,x/2\n", "line 2: There are more cells than columns"),
        ("name,name\na,b\n", "there are two columns name"),
        ("name,mayLogIn\na,perhaps\n", "line 2: mayLogIn should be yes or no"),
        ("name,typ\na,x\n", "the columns should be name, type, topics"),
        ("type\nx\n", "the columns should be"),
        ("name\na\na\n", "line 3: a is in line 2 already"),
        ("name\na\nb c\n", "line 3: The name of a device should be"),
        ("name,type\na,\nb,nothing\n", "devices/b.yaml: type: there is no device-types/nothing.yaml"),
        ("name,topics\na,x\nb,a#\n", "b: topics.0: # should stand alone"),
        ('name\n"a\n', "is no table of CSV"),
        ("", "the columns should be"),
    ],
)
def test_a_wrong_table_adds_no_device(table: str, message: str, workspace: Path) -> None:
    path = workspace / "t.csv"
    path.write_text(table)
    with pytest.raises(StackError, match=message):
        order("import", str(path), output=str(workspace / "words.csv"))
    assert not list((workspace / "devices").glob("*"))
    assert not (workspace / "words.csv").exists()


def test_older_passwords_are_not_written_over(workspace: Path) -> None:
    (workspace / "t.csv").write_text("name\na\n")
    (workspace / "words.csv").write_text("needed")
    with pytest.raises(StackError, match=r"words\.csv is there already"):
        order("import", str(workspace / "t.csv"), output=str(workspace / "words.csv"))
    assert not (workspace / "devices" / "a.yaml").exists()


def test_devices_are_found_by_name_and_label(capsys: pytest.CaptureFixture[str]) -> None:
    for name, site in (("pump-1", "a"), ("pump-2", "b"), ("fan", "a")):
        order("add", name, capsys, labels={"site": site})
    print_devices("pump", {"site": "a"}, as_json=True)
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["pump-1"]


def test_guest_ends_with_a_warning_that_names_who_has_used_it(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker is not there: what was noted of it before counts."""
    (workspace / ".stack" / "state").mkdir(parents=True)
    login = Login("guest", "MQTT", "10.0.0.5")
    save_use_log(Workspace(workspace), UseLog((AccountUse(login, "sensor-1", 1.0),)))
    renew_credentials(is_for_dashboard=True, is_for_gateway=False, overlap="")
    assert "guest" not in capsys.readouterr().err
    order("add", "a")
    said = " ".join(capsys.readouterr().err.split())
    assert "Within a week it was used by sensor-1 (MQTT from 10.0.0.5): these need logins of their own" in said
    renew_credentials(is_for_dashboard=False, is_for_gateway=False, overlap="")
    assert "account guest" not in capsys.readouterr().err, "it has ended"
