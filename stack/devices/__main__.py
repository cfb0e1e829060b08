"""The container of `devices`: `python -m stack.devices`."""

import os
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from stack.config.device import NAME
from stack.config.environment import Secret
from stack.contract import NODES_VARIABLE
from stack.devices.api import build_app, build_forget_routes, build_presence_routes, build_twin_routes
from stack.devices.call_api import Requests, answer_calls, answer_twins, build_call_routes
from stack.devices.call_wire import BrokerWire, open_calls
from stack.devices.event import Connection, write_protocol
from stack.devices.link import Link
from stack.devices.login import build_login_route
from stack.devices.presence import Presence
from stack.devices.rate import RateWatch
from stack.devices.store import claim_folder, open_store
from stack.devices.twin import Twins
from stack.plan.broker import AMQP_PORT, MANAGEMENT_PORT, MQTT_PORT, NODES, Credentials
from stack.plan.broker import SERVICE as BROKER
from stack.plan.device_account import DATA_FOLDER, LIMITS, LOGIN_PORT, PASSWORD, SERVICE_ACCOUNT, SERVICE_LOGIN
from stack.rabbitmq.management import Broker
from stack.state.devices import logins_folder
from stack.state.workspace import Workspace, become_owner, open_workspace

_COLUMNS = "name,user,connected_at,protocol"


def main() -> None:
    """Answer the broker, and listen to it, until the container is stopped."""
    workspace, data = open_workspace(), Path(DATA_FOLDER)
    claim_folder(data, logins_folder(workspace))
    become_owner(logins_folder(workspace))
    broker, store = open_broker(workspace), open_store(data)
    logins = logins_folder(workspace)

    def may_log_in(name: str) -> bool:
        return bool(NAME.fullmatch(name)) and (logins / name).is_file()

    link = Link(broker, store)
    presence, twins = Presence(store, lambda: fetch_connections(broker), may_log_in), Twins(store, may_log_in)
    calls = open_calls(store, BrokerWire(broker, link, presence.describe), may_log_in=may_log_in)
    presence.arrivals += [twins.arrive, calls.note_arrival]
    for feature in (presence, twins, calls):
        feature.listen(link)
    requests = Requests(link)
    answer_calls(calls, requests)
    answer_twins(twins, link, requests=requests, may_log_in=may_log_in)
    watch = RateWatch(broker, workspace.rendered / LIMITS)
    routes = [
        build_login_route(workspace, watch.is_barred),
        *build_presence_routes(presence),
        *build_twin_routes(twins, link),
        *build_call_routes(calls),
        *build_forget_routes(store, [presence.forget, twins.forget, calls.forget], say=link.say),
    ]
    link.start()
    watch.start()
    serve(build_app(routes))
    link.close()
    calls.close()
    watch.close()
    store.close()


def serve(app: Starlette) -> None:
    """Answer until the container is stopped."""
    uvicorn.run(
        app,
        host="0.0.0.0",
        port=LOGIN_PORT,
        log_level="warning",
        access_log=False,
        # Who waits for a device's answer asks again.
        timeout_graceful_shutdown=1,
    )


def open_broker(workspace: Workspace) -> Broker:
    """Return the broker as this container reaches it, for the account of its own."""
    password = (workspace.rendered / SERVICE_LOGIN / PASSWORD).read_text(encoding="ascii")
    host = NODES if NODES_VARIABLE in os.environ else BROKER
    return Broker(host, AMQP_PORT, MQTT_PORT, MANAGEMENT_PORT, Credentials(SERVICE_ACCOUNT, Secret(password)))


def fetch_connections(broker: Broker) -> Sequence[Connection]:
    """Ask who is connected.

    Raises:
        BrokerError: the broker does not answer.
    """
    found = broker.request("GET", f"/api/connections?columns={_COLUMNS}")
    return [
        Connection(one["name"], one["user"], one.get("connected_at", 0) / 1000, write_protocol(one.get("protocol", "")))
        for one in found
        if one and one.get("user")
    ]


if __name__ == "__main__":
    main()
