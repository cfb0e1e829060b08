import yaml

from stack.config.data import Data
from stack.plan.scrape import render_scrape
from stack.plan.store import SCRAPE, SCRAPE_MOUNTED


def test_no_figures_are_taken_where_they_are_not_wished() -> None:
    files = render_scrape(Data(scrape="0s"), [])
    assert yaml.safe_load(files[f"{SCRAPE_MOUNTED}/{SCRAPE}"]) == {"scrape_configs": []}


def test_figures_of_broker_and_gateway_are_taken_where_no_function_is() -> None:
    document = yaml.safe_load(render_scrape(Data(scrape="30s"), [])[f"{SCRAPE_MOUNTED}/{SCRAPE}"])
    assert document["global"] == {"scrape_interval": "30s"}
    jobs = [one["job_name"] for one in document["scrape_configs"]]
    assert jobs == ["tidegate-broker", "tidegate-queues", "tidegate-gateway", "tidegate-store"]


def test_devices_are_taken_where_there_are_any() -> None:
    for has_devices in (True, False):
        files = render_scrape(Data(scrape="30s"), [], has_devices=has_devices)
        jobs = [one["job_name"] for one in yaml.safe_load(files[f"{SCRAPE_MOUNTED}/{SCRAPE}"])["scrape_configs"]]
        assert ("tidegate-devices" in jobs) is has_devices
