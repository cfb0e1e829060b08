"""What the store takes besides readings: the figures of functions, broker and gateway, as Prometheus would."""

from collections.abc import Sequence

from stack.config.data import Data
from stack.contract import METRICS_PORT
from stack.plan.alert import PORT as VMALERT_PORT
from stack.plan.alert import SERVICE as VMALERT
from stack.plan.broker import METRICS_PORT as BROKER_PORT
from stack.plan.broker import SERVICE as BROKER
from stack.plan.device_account import LOGIN_PORT
from stack.plan.device_account import SERVICE as DEVICES
from stack.plan.gateway import CONTROL_PORT
from stack.plan.gateway_frontend import CONTROL_HOST
from stack.plan.stack import Service
from stack.plan.store import FOLDER, OWN_JOBS, PASSWORD, PORT, SCRAPE, SCRAPE_MOUNTED, START, USERNAME
from stack.plan.template import fill

_FILE = f"{SCRAPE_MOUNTED}/{SCRAPE}"


def render_scrape(
    data: Data,
    services: Sequence[Service],
    *,
    nodes: Sequence[str] = (BROKER,),
    has_vmalert: bool = False,
    has_devices: bool = False,
) -> dict[str, bytes]:
    """Render what says whose figures are taken, of each of the broker's `nodes` too; the store reads it often."""
    context = {
        "interval": f"{data.scrape_seconds:g}" if data.scrape_seconds else "",
        "own": OWN_JOBS,
        "functions": sorted(one.plan.service for one in services if one.is_deployed),
        "metrics_port": METRICS_PORT,
        "brokers": [f"{node}:{BROKER_PORT}" for node in nodes],
        "gateway": CONTROL_HOST,
        "gateway_port": CONTROL_PORT,
        "store_port": PORT,
        "store_user": USERNAME,
        "store_password": f"{FOLDER}/{PASSWORD}",
        "store_start": START,
        "vmalert": f"{VMALERT}:{VMALERT_PORT}" if has_vmalert else "",
        "devices": f"{DEVICES}:{LOGIN_PORT}" if has_devices else "",
    }
    return {_FILE: fill(_FILE, context)}
