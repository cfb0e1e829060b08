"""The rendered tree, as files. `pytest --update-golden` writes them again.

Each case is a folder golden/CASE; its files are what .stack/ would hold.
"""

import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.config.alert import Alert, AlertConfig
from stack.config.allow import GPU, Allow
from stack.config.bridge import Bridge
from stack.config.broker import Broker, Logger
from stack.config.data import Data, KeepRule
from stack.config.document import parse_model
from stack.config.environment import Secret, SecretContent, SecretRef
from stack.config.function import FunctionConfig
from stack.config.network import Ports, Tls
from stack.config.notify import Notify
from stack.config.requirements import Requirements
from stack.config.settings import Dashboard, Images, ImageSource, Implementation, Processor, Settings
from stack.config.source import Function, SourceFile
from stack.config.swarm import Swarm
from stack.contract import ALERTER
from stack.plan.account import Accounts
from stack.plan.alerter import plan_alerter
from stack.plan.broker import GUEST_CREDENTIALS, Credentials, list_nodes
from stack.plan.feedback import NAME as LOGGER
from stack.plan.feedback import plan_logger
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import HostContext, Inputs
from stack.plan.recorder import NAME as RECORDER
from stack.plan.recorder import plan_recorder
from stack.plan.render import render, used_secrets
from stack.plan.secret import Vault
from stack.plan.stack import Service, plan_service
from stack.plan.stack_image import function_image, processor_image
from stack.plan.template import Files
from stack.state.vault import mount_secrets
from stack.state.workspace import Workspace, write_tree
from tests.unit.plan.samples import KEY, make_vault

GOLDEN = Path(__file__).parent / "golden" / "stack"

TRIXIE = Archive("trixie", ("deb http://deb.example/debian trixie main",))
JAMMY = Archive(
    "jammy", ("deb http://apt.example/ubuntu jammy main universe", "deb http://apt.example/ubuntu jammy-updates main")
)
PACKAGES = BaseImages(ImageSource.DEBIAN, TRIXIE, processor_digest="0")
PASSWORD = "a-Made_password/with+signs"
SECRET = "a secret of the user's"
MADE = Credentials("tidegate", Secret(PASSWORD))

SOURCE = b"def handler(context: object, event: object) -> int:\r\n    return 1\r\n"

FUNCTIONS: dict[str, dict[str, Any]] = {
    "page": {"triggers": {"web": {"kind": "http", "numWorkers": 4, "attributes": {"port": 31000}}}},
    "consumer": {
        "description": 'Takes\n"readings" for $5',
        "triggers": {
            "readings": {
                "kind": "rabbit-mq",
                "url": "amqp://guest:guest@rabbitmq-mqtt:5672",
                "attributes": {
                    "exchangeName": "iot/sensors",
                    "queueName": "iot/sensors",
                    "topics": ["temperature"],
                },
            }
        },
        "build": {"commands": ["pip install numpy", "@nuclio.postCopy", "python -m compileall ."]},
    },
    "subscriber": {
        "disableDefaultHTTPTrigger": True,
        "triggers": {
            "own": {"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "iot/+/temperature", "qos": 1}]}},
            "far": {
                "kind": "mqtt",
                "url": "mqtt://broker.example:1883",
                "attributes": {"subscriptions": [{"topic": "iot/#"}], "clientID": "me"},
            },
        },
    },
    "graphics": {
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "platform": {"attributes": {"healthCheckInterval": "1m30s"}},
    },
    "scaled": {"minReplicas": 0, "maxReplicas": 3},
    "placed": {
        "nodeSelector": {"kubernetes.io/arch": "arm64", "line": "3"},
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}],
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
        "securityContext": {"readOnlyRootFilesystem": True},
        "platform": {"attributes": {"restartPolicy": {"name": "on-failure", "maximumRetryCount": 3}}},
        "volumes": [
            {
                "volume": {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}},
                "volumeMount": {"name": "kept", "mountPath": "/kept"},
            },
        ],
    },
    "everything": {
        "runtime": "python:3.13",
        "env": [
            {"name": "PLAIN", "value": "a $b ${C} \"quoted\" 'single' #x: ü"},
            {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "api", "key": "none", "optional": True}}},
        ],
        "envFrom": [{"prefix": "DB_", "secretRef": {"name": "db"}}],
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1001},
        "volumes": [
            {
                "volume": {"name": "data", "hostPath": {"path": "/srv/data $1"}},
                "volumeMount": {"name": "data", "mountPath": "/data", "readOnly": True},
            },
            {
                "volume": {
                    "name": "db",
                    "secret": {"secretName": "db", "items": [{"key": "password", "path": "pass.txt"}]},
                },
                "volumeMount": {"name": "db", "mountPath": "/etc/db"},
            },
        ],
        "devices": ["/dev/ttyUSB0:/dev/ttyUSB0"],
        "platform": {"attributes": {"restartPolicy": {"name": "on-failure", "maximumRetryCount": 3}}},
        "build": {
            "functionSourceCode": b64encode(SOURCE).decode(),
            "args": {"MIRROR": 'http://"x" $y'},
            "directives": {
                "preCopy": [{"kind": "ENV", "value": "A=1"}],
                "postCopy": [{"kind": "RUN", "value": "echo after"}],
            },
        },
    },
}

# What builds differ in: the processor's base, requirements, commands at either side of the copy.
FUNCTIONS |= {
    "required": {"runtime": "python:3.11", "handler": "app.main:handler"},
    "based": {
        "build": {
            "baseImage": "acme/vision:7",
            "image": "registry.example:5000/acme/based:v2",
            "commands": ["apt-get update", "@nuclio.postCopy", "pip install -r /opt/nuclio/more.txt"],
        }
    },
    "original": {
        "runtime": "python:3.11",
        "build": {
            "args": {"A": "1", "B": ""},
            "directives": {
                "preCopy": [{"kind": "ENV", "value": "A=1"}],
                "postCopy": [{"kind": "RUN", "value": "echo $NUCLIO_ARCH"}, {"kind": "USER", "value": "1000"}],
            },
        },
    },
}
FUNCTIONS |= {
    "scripted": {"runtime": "nodejs:20", "handler": "main:handler"},
    "sourced": {
        "runtime": "nodejs",
        "build": {
            "functionSourceCode": b64encode(b"exports.handler = (context) => context.callback(1);\r\n").decode(),
            "commands": ["npm install amqplib", "@nuclio.postCopy", "node --check main.js"],
        },
    },
    "scripted-by-nuclio": {"runtime": "nodejs"},
}
FUNCTIONS["ready"] = {"image": "acme/reader:2", "handler": "reader:handler"}
ANNOTATIONS = {name: {"tidegate.io/processor": "nuclio"} for name in ("original", "scripted-by-nuclio")}
FILES = {
    "ready": (),
    "scripted": ("main.js", "package.json", "package-lock.json"),
    "scripted-by-nuclio": ("main.js",),
    "sourced": (),
    "required": ("app/main.py", "app/requirements.txt", "app/constraints.txt", "requirements.txt"),
}
REQUIREMENTS = {"scripted": (Requirements("package.json", ("package-lock.json",)),)}

KEPT = Data(keep=(KeepRule(topic="plant/+/temperature", labels={"sensor": "{2}"}), KeepRule(topic="#")))
ALERTS: dict[str, dict[str, Any]] = {
    "hot": {
        "when": 'temperature{sensor=~".+"} mean 5m > 30',
        "for": "2m",
        "clear": "< 29.5",
        "severity": "critical",
        "text": "{sensor} is at {value} °C",
        "labels": {"team": "plant"},
    },
    "quiet": {"silent": "plant/+/temperature", "after": "15m"},
    "steep": {"expr": "deriv(temperature[10m]) * 60 > 1", "severity": "info"},
}
NOTIFY = parse_model(
    Notify,
    {
        "channels": {
            "mail": {
                "mail": {
                    "to": ["me@example.com"],
                    "from": "plant@example.com",
                    "server": "smtp.example.com:587",
                    "user": "me",
                    "secret": "notify.mail",
                }
            },
            "phone": {"telegram": {"chat": -100, "secret": "notify.bot"}},
            "home": {"webhook": {"url": "http://host.docker.internal:9000/hook"}, "resolved": False},
            "team": {"slack": {"secret": "notify.slack", "channel": "#plant"}},
            "other": {"alertmanager": {"pushover_configs": [{"user_key": "a", "token": "b"}]}},
        },
        "to": ["mail"],
        "routes": [
            {"severity": ["critical"], "to": ["mail", "phone"], "repeat": "1h"},
            {"labels": {"team": "plant"}, "alerts": ["quiet"], "to": ["team"], "mute": ["nights"]},
            {"severity": ["info"]},
        ],
        "mute": {"nights": {"times": ["22:00-07:00"], "days": ["monday-friday", "sunday"], "zone": "Europe/Berlin"}},
        "escalate": {"after": "30m", "to": ["phone"]},
    },
    name="notify",
)

TOLD = parse_model(Notify, {"channels": {"home": {"webhook": {"url": "http://home.example/"}}}}, name="notify")
DEFAULTS = Settings()
# One way to a place that this one connects to, and one to a place that connects.
_BRIDGE = {"secret": "hq.account", "topics": ["plant/#"], "receive": ["cmd/+"], "exchange": "iot/sensors"}
_CONNECTING = {"name": "hq", "to": "amqps://hq.example/%2f", "rate": "1 MB/s", "buffer": "30d"}
BRIDGES = tuple(Bridge.model_validate({**_BRIDGE, **more}) for more in (_CONNECTING, {"name": "plant-8"}))
ALLOW = Allow(host_paths=("/srv/data $1",), devices=("/dev/ttyUSB0", GPU))


@dataclass(frozen=True)
class Case:
    """What is rendered: settings, ground and credentials, and the names of functions, deployed or not."""

    settings: Settings = DEFAULTS
    base_images: BaseImages = PACKAGES
    credentials: Credentials = GUEST_CREDENTIALS
    deployed: Sequence[str] = ()
    undeployed: Sequence[str] = ()
    alerts: Sequence[str] = ()


CASES = {
    "bare": Case(),
    "debian": Case(deployed=["consumer", "everything", "page", "subscriber"]),
    "undeployed": Case(deployed=["page"], undeployed=["consumer"]),
    "jammy": Case(base_images=BaseImages(ImageSource.DEBIAN, JAMMY, processor_digest="0")),
    "registry": Case(
        settings=Settings(images=Images(source=ImageSource.REGISTRY, mirror="mirror.example:5000/")),
        base_images=BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="0"),
        deployed=["consumer"],
    ),
    "scaled": Case(deployed=["page", "scaled"]),
    "readings": Case(settings=Settings(data=Data(keep=(KeepRule(topic="#"),)), logger=Logger(service=True))),
    "readings-registry": Case(
        settings=Settings(images=Images(source=ImageSource.REGISTRY), data=Data(keep=(KeepRule(topic="#"),))),
        base_images=BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="0"),
    ),
    "grafana": Case(
        settings=Settings(
            images=Images(source=ImageSource.REGISTRY), data=Data(keep=(KeepRule(topic="#"),), grafana=True)
        ),
        base_images=BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="0"),
    ),
    "alerts": Case(settings=Settings(data=KEPT, notify=NOTIFY), alerts=("hot", "quiet", "steep")),
    # The store is there for the stack's own figures.
    "alerts-stack": Case(settings=Settings(notify=TOLD)),
    "alerts-registry": Case(
        settings=Settings(images=Images(source=ImageSource.REGISTRY, mirror="mirror.example:5000/"), data=KEPT),
        base_images=BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="0"),
        alerts=("steep",),
    ),
    "nuclio-dashboard": Case(
        settings=Settings(
            project="plant-2",
            namespace="plant",
            bind=IPv4Address("0.0.0.0"),
            images=Images(nuclio="1.13.2"),
            dashboard=Dashboard(implementation=Implementation.NUCLIO),
        ),
        credentials=MADE,
        deployed=["page"],
    ),
    "tls": Case(
        settings=Settings(bind=IPv4Address("0.0.0.0"), tls=Tls(names=("plant.local",))),
        credentials=MADE,
        deployed=["page"],
    ),
    "bridge": Case(settings=Settings(site="plant-7", bridge=BRIDGES, notify=TOLD)),
    "certificates": Case(base_images=replace(PACKAGES, has_ca=True), deployed=["consumer"]),
    "builds": Case(base_images=replace(PACKAGES, has_ca=True), deployed=["based", "original", "ready", "required"]),
    "nodejs": Case(base_images=replace(PACKAGES, has_ca=True), deployed=["scripted", "scripted-by-nuclio", "sourced"]),
    "builds-registry": Case(
        settings=Settings(images=Images(source=ImageSource.REGISTRY), processor=Processor.NUCLIO),
        base_images=BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="0"),
        deployed=["based", "consumer", "required"],
    ),
    "pythons": Case(
        settings=Settings(images=Images(source=ImageSource.REGISTRY, mirror="mirror.example:5000/")),
        base_images=BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="0"),
        deployed=["page", "required", "scripted"],
    ),
    "swarm": Case(
        settings=Settings(
            engine="swarm",
            swarm=Swarm(mtu=1420),
            bind=IPv4Address("0.0.0.0"),
            tls=Tls(enabled=True),
            logger=Logger(service=True),
            data=KEPT,
        ),
        credentials=MADE,
        deployed=["consumer", "page", "placed", "ready", "scaled"],
        undeployed=["subscriber"],
        alerts=("steep",),
    ),
    "swarm-nodes": Case(
        settings=Settings(engine="swarm", broker=Broker(nodes=3)),
        deployed=["placed"],
    ),
    "credentials": Case(
        settings=Settings(
            project="plant-2",
            namespace="plant",
            bind=IPv4Address("0.0.0.0"),
            ports=Ports(amqp=7001, mqtt=7002, management=7003, metrics=7004),
        ),
        credentials=MADE,
        deployed=["everything", "subscriber"],
    ),
}


def make_inputs(case: Case) -> Inputs:
    home = HostContext("/srv/tidegate", "/srv/plant", "0", code="1", names=("plant",))
    if case.base_images.has_ca:
        home = replace(home, ca="/etc/ssl/plant.pem", environment=(("HTTPS_PROXY", "http://proxy.example:3128"),))
    alerts = tuple(Alert(name, parse_model(AlertConfig, ALERTS[name], name=name)) for name in case.alerts)
    secrets = {SecretRef("hq", "account"): SecretContent(f"tidegate-bridge-plant-8:{SECRET}".encode())}
    accounts, bridged = Accounts(KEY, case.credentials), secrets if case.settings.bridge else {}
    bare = Inputs(case.settings, case.base_images, accounts, home=home, alerts=alerts, bridge_accounts=bridged)
    services = []
    for name in sorted([*case.deployed, *case.undeployed]):
        document = {"metadata": {"annotations": ANNOTATIONS.get(name, {})}, "spec": FUNCTIONS[name]}
        config = parse_model(FunctionConfig, document, name=name)
        files = tuple(SourceFile(path, "-:0") for path in FILES.get(name, ("main.py",)))
        function = Function(name, f"functions/{name}", config, files, requirements=REQUIREMENTS.get(name, ()))
        plan = plan_function(function, case.settings)
        services.append(
            plan_service(
                plan,
                case.settings.model_copy(update={"allow": ALLOW}),
                image=function_image(plan, bare),
                vault=_vault(case),
                is_deployed=name in case.deployed,
            )
        )
    if case.settings.data.is_kept:
        services.append(_plan_own(case, bare, partial(plan_recorder, is_urgent=bare.has_vmalert)))
    if case.settings.logger.service:
        services.append(_plan_own(case, bare, plan_logger))
    if bare.has_alertmanager:
        services.append(_plan_own(case, bare, plan_alerter))
    return replace(bare, services=tuple(services))


def _plan_own(case: Case, bare: Inputs, make_plan: Callable[[Settings, str], FunctionPlan]) -> Service:
    image = processor_image(bare)
    plan = make_plan(case.settings, image)
    service = plan_service(plan, case.settings, image=image, vault=_vault(case), is_deployed=True)
    return replace(service, is_own=True)


def _vault(case: Case) -> Vault:
    vault = make_vault(db_user=b"ann", db_password=SECRET.encode(), api_token=b"t")
    return replace(vault, has_store=case.settings.has_store)


def render_case(name: str) -> Files:
    return render(make_inputs(CASES[name]))


def read_tree(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_golden(folder: Path, files: Files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.mark.parametrize("name", CASES)
def test_tree_is_the_golden_one(name: str) -> None:
    files = render_case(name)
    if os.environ.get("UPDATE_GOLDEN"):
        write_golden(GOLDEN / name, files)
    golden = read_tree(GOLDEN / name)
    assert sorted(files) == sorted(golden)
    for path, content in files.items():
        assert content.decode() == golden[path].decode(), path


def test_every_golden_tree_has_its_case() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_same_inputs_give_the_same_bytes(name: str) -> None:
    assert render_case(name) == render_case(name)


@pytest.mark.parametrize("name", CASES)
def test_password_is_in_no_rendered_file(name: str) -> None:
    files = render(make_inputs(replace(CASES[name], credentials=MADE)))
    for path, content in files.items():
        text = content.decode()
        assert PASSWORD not in text, path
        assert "a-Made_password" not in text, path
        assert SECRET not in text, path


@pytest.mark.parametrize("name", CASES)
def test_yaml_files_are_yaml(name: str) -> None:
    for path, content in render_case(name).items():
        if path.endswith(".yaml"):
            assert isinstance(yaml.safe_load(content), dict), path


@pytest.mark.skipif(
    not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode != 0,
    reason="Docker Compose is not installed",
)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.settings.is_swarm])
def test_compose_accepts_the_file(name: str, tmp_path: Path) -> None:
    """And reads every text as it was meant, whatever signs are in it."""
    case = CASES[name]
    workspace = Workspace(tmp_path)
    write_tree(workspace, render_case(name))
    mount_secrets(workspace, _vault(case), mounts=used_secrets(make_inputs(case).services))
    command = ["docker", "compose", "--file", str(workspace.compose), "--profile", "*", "config", "--format", "yaml"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    document = yaml.safe_load(result.stdout)
    assert document["name"] == case.settings.project
    functions = {f"function-{one}" for one in [*case.deployed, *case.undeployed]}
    own = {"scaler"} if "scaled" in case.deployed else set()
    own |= {"victoria-metrics"} if case.settings.has_store else set()
    own |= {f"function-{RECORDER}"} if case.settings.data.is_kept else set()
    own |= {f"function-{LOGGER}"} if case.settings.logger.service else set()
    own |= {"mdns"} if case.settings.tls.names else set()
    own |= {"grafana"} if case.settings.data.grafana else set()
    told = {"vmalert", "alertmanager", f"function-{ALERTER}"}
    own |= told if case.alerts or case.settings.notify.channels else set()
    assert set(document["services"]) == {"rabbitmq-mqtt", "gateway", "dashboard"} | functions | own
    if "everything" in case.deployed:
        service = document["services"]["function-everything"]
        # What Compose prints can be read by Compose, so a dollar is doubled.
        assert service["environment"]["PLAIN"].replace("$$", "$") == "a $b ${C} \"quoted\" 'single' #x: ü"
        assert service["volumes"][0]["source"].replace("$$", "$") == "/srv/data $1"


@pytest.mark.skipif(not shutil.which("docker"), reason="Docker is not installed")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.settings.is_swarm])
def test_swarm_accepts_the_file(name: str, tmp_path: Path) -> None:
    """With nothing in it that Swarm would leave out, and say so."""
    case, workspace = CASES[name], Workspace(tmp_path)
    write_tree(workspace, render_case(name))
    workspace.secrets.mkdir(exist_ok=True)
    (workspace.secrets / "erlang.cookie").write_text("c")
    command = ["docker", "stack", "config", "--compose-file", str(tmp_path / ".stack/swarm.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    has_data = case.settings.data.is_kept
    own = {"gateway", "gateway-configuration", "dashboard", *list_nodes(case.settings)}
    own |= {"scaler"} if "scaled" in case.deployed else set()
    own |= {"victoria-metrics", "vmalert", "alertmanager"} if has_data else set()
    functions = {f"function-{one}" for one in (*case.deployed, *((RECORDER, LOGGER, ALERTER) if has_data else ()))}
    assert set(yaml.safe_load(result.stdout)["services"]) == own | functions


def test_dashboard_begins_again_where_its_login_is_wanted() -> None:
    """Its own port stays as it is, when the port with TLS is opened to other machines."""
    local = Settings(tls=Tls(names=("plant.local",)))
    definitions = {
        yaml.safe_load(render(make_inputs(Case(settings=one, credentials=MADE)))["compose.yaml"])["services"][
            "dashboard"
        ]["labels"]["io.tidegate.definition"]
        for one in (local, local.model_copy(update={"bind": IPv4Address("0.0.0.0")}))
    }
    assert len(definitions) == 2


def test_gpus_and_the_interval_of_health_checks() -> None:
    document = yaml.safe_load(render(make_inputs(Case(deployed=["graphics", "consumer"])))["compose.yaml"])
    (gpus,) = document["services"]["function-graphics"]["deploy"]["resources"]["reservations"]["devices"]
    assert gpus == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert document["services"]["function-graphics"]["healthcheck"] == {"interval": "1m30s"}
    assert not {"deploy", "healthcheck"} & set(document["services"]["function-consumer"])
