"""What the store takes besides readings: the figures of functions, broker and gateway, as Prometheus would."""

from collections.abc import Sequence

from stack.config.data import Data
from stack.contract import METRICS_PORT
from stack.plan.broker import METRICS_PORT as BROKER_PORT
from stack.plan.broker import SERVICE as BROKER
from stack.plan.gateway import CONTROL_HOST, CONTROL_PORT
from stack.plan.stack import Service
from stack.plan.store import OWN_JOBS, SCRAPE, SCRAPE_MOUNTED
from stack.plan.template import fill

_FILE = f"{SCRAPE_MOUNTED}/{SCRAPE}"


def render_scrape(data: Data, services: Sequence[Service]) -> dict[str, bytes]:
    """Render what says whose figures are taken; the store looks at it every few seconds."""
    context = {
        "interval": f"{data.scrape_seconds:g}" if data.scrape_seconds else "",
        "own": OWN_JOBS,
        "functions": sorted(one.plan.service for one in services if one.is_deployed),
        "metrics_port": METRICS_PORT,
        "broker": BROKER,
        "broker_port": BROKER_PORT,
        "gateway": CONTROL_HOST,
        "gateway_port": CONTROL_PORT,
    }
    return {_FILE: fill(_FILE, context)}
