"""The store of readings: VictoriaMetrics, its accounts, and what it is told on its command line."""

import json
from collections.abc import Mapping

from stack.config.data import Data
from stack.config.environment import SecretContent, SecretRef
from stack.config.settings import Settings
from stack.contract import STORE_URL
from stack.errors import ConfigError
from stack.plan.account import derive
from stack.plan.image import BaseImages

SERVICE = "victoria-metrics"
PORT = 8428
VOLUME = "victoria-metrics-data"
# Where the container sees the files of its logins, and where they are below .stack/.
FOLDER, MOUNTED = "/etc/tidegate/store", "secrets/store"
# Likewise the file that says whose figures it takes, and what the label `job` of those begins with.
SCRAPE_FOLDER, SCRAPE_MOUNTED, SCRAPE = "/etc/tidegate/scrape", "victoria-metrics", "scrape.yaml"
OWN_JOBS = "tidegate-"
# The store's own figure that says since when it runs.
START = "vm_app_start_timestamp"
# What the names of series begin with that alerts write for themselves.
NOTES = "tidegate:"
# The selector of all readings, without those figures, and what rules of alerts write.
READINGS = f'{{__name__!~"ALERTS.*|{NOTES}.*",job!~"{OWN_JOBS}.+"}}'
URL_SECRET = SecretRef(*STORE_URL.split("."))
# Who writes and reads; only Tidegate's own programs have what deletes.
USERNAME = "tidegate"
PASSWORD, _DELETE_KEY = "password", "delete-key"
_LABEL = b"store"
# Hours, which VictoriaMetrics takes no less than one of, and the seconds of one.
_HOUR = 3600
# Releases without the package victoria-metrics.
_WITHOUT_PACKAGE = ("jammy",)


def quote(text: str) -> str:
    """Return a text as a string of PromQL."""
    return json.dumps(text, ensure_ascii=False)


def check_store(settings: Settings, base_images: BaseImages) -> None:
    """Refuse a store where there is nothing to make it of.

    Raises:
        ConfigError: this system has no package of it, and no registry is used.
    """
    if settings.has_store and base_images.archive.codename in _WITHOUT_PACKAGE and not base_images.is_registry:
        way = "Have it pulled, `images: {source: registry}`, or use Ubuntu 24.04, Debian 12 or newer."
        asking = "data.keep" if settings.data.is_kept else "notify"
        raise ConfigError([f"stack.yaml: {asking}: this system has no package of VictoriaMetrics. {way}"])


def derive_password(key: SecretContent) -> str:
    """Return the password of the store's one account."""
    return derive(key, _LABEL, name=PASSWORD).hex()


def derive_delete_key(key: SecretContent) -> str:
    """Return what a request has to know that deletes."""
    return derive(key, _LABEL, name=_DELETE_KEY).hex()


def login_files(key: SecretContent) -> Mapping[str, bytes]:
    """Return the files of FOLDER, by name."""
    return {PASSWORD: derive_password(key).encode(), _DELETE_KEY: derive_delete_key(key).encode()}


def store_url(key: SecretContent, host: str = SERVICE, port: int = PORT) -> str:
    """Return the store's URL with its account."""
    return f"http://{USERNAME}:{derive_password(key)}@{host}:{port}"


def store_arguments(data: Data) -> list[str]:
    """Return what the server is started with."""
    flags = {
        "storageDataPath": "/victoria-metrics-data",
        "retentionPeriod": f"{data.retention_seconds / _HOUR:g}h",
        "memory.allowedBytes": str(data.memory_bytes * 6 // 10),
        "storage.minFreeDiskSpaceBytes": str(data.disk_free_bytes),
        # A reading that comes twice, at one time, is one.
        "dedup.minScrapeInterval": "1ms",
        # What was stored a moment ago is part of each answer.
        "search.latencyOffset": "0s",
        "httpListenAddr": f":{PORT}",
        # A connection that ends says that the store has: the recorder then sends again what it took last.
        "http.connTimeout": "0s",
        "httpAuth.username": USERNAME,
        "httpAuth.password": f"file://{FOLDER}/{PASSWORD}",
        "deleteAuthKey": f"file://{FOLDER}/{_DELETE_KEY}",
        "loggerLevel": "WARN",
        "promscrape.config": f"{SCRAPE_FOLDER}/{SCRAPE}",
        "promscrape.configCheckInterval": "5s",
        # A series that ends is no value.
        "promscrape.noStaleMarkers": "true",
    }
    return [f"-{name}={value}" for name, value in flags.items()]
