"""Functions as services of Compose."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
import yaml

from stack.config.allow import Allow
from stack.config.environment import Secret
from stack.config.function import FUNCTION_LABEL, Metadata
from stack.config.settings import Dashboard, Defaults, ImageSource, Implementation, Settings
from stack.errors import ConfigError
from stack.plan.account import Accounts
from stack.plan.broker import GUEST_CREDENTIALS, Credentials
from stack.plan.function import plan_function
from stack.plan.image import VERSION_LABEL, Archive, BaseImages
from stack.plan.inputs import HostContext, Inputs
from stack.plan.render import render_compose
from stack.plan.stack import FILES_LABEL, SECRETS_LABEL, Service, check_exposure, digest_services, plan_service
from tests.unit.plan.samples import KEY, make_function, make_plan, make_vault

VAULT = make_vault()
WIDE = Settings(bind=IPv4Address("0.0.0.0"))
PLAIN = Settings(bind=IPv4Address("0.0.0.0"), plaintext=True)
MADE = Credentials("tidegate", Secret("word"))
ACCOUNTS = Accounts(KEY, MADE)


def make_service(settings: Settings | None = None, **spec: Any) -> Service:
    return plan_service(make_plan(**spec), settings or Settings(), image="image:1", vault=VAULT, is_deployed=True)


def http(**attributes: Any) -> dict[str, Any]:
    return {"triggers": {"web": {"kind": "http", "attributes": attributes}}}


def user_directive(value: str) -> dict[str, Any]:
    return {"build": {"directives": {"postCopy": [{"kind": "user", "value": value}]}}}


@pytest.mark.parametrize(
    ("settings", "spec", "port"),
    [
        (Settings(), {}, ""),
        (Settings(), http(port=31000), "127.0.0.1:31000:8080"),
        (WIDE, http(port=31000), "0.0.0.0:31000:8080"),
        (Settings(), http(disablePortPublishing=True), ""),
        (Settings(), {"disableDefaultHTTPTrigger": True}, ""),
    ],
)
def test_published_port(settings: Settings, spec: dict[str, Any], port: str) -> None:
    assert make_service(settings, **spec).port == port


def test_one_port_is_for_one_container() -> None:
    with pytest.raises(
        ConfigError, match=r"^functions/thermo/function.yaml: .* only one container can have the port 31000"
    ):
        make_service(**http(port=31000), maxReplicas=3, minReplicas=1)


@pytest.mark.parametrize(
    ("context", "user", "groups"),
    [
        ({}, "65532:65532", ()),
        ({"runAsUser": 0}, "0:0", ()),
        ({"runAsUser": 7}, "7:7", ()),
        ({"runAsGroup": 8}, "65532:8", ()),
        ({"runAsUser": 7, "runAsGroup": 8, "fsGroup": 9}, "7:8", ("9",)),
    ],
)
def test_user(context: dict[str, int], user: str, groups: tuple[str, ...]) -> None:
    service = make_service(Settings(allow=Allow(root=True)), securityContext=context)
    assert (service.user, service.groups) == (user, groups)


@pytest.mark.parametrize(
    ("spec", "user", "with_root"),
    [
        (user_directive("1000"), "1000:1000", ""),
        (user_directive("1000:50"), "1000:50", ""),
        ({"image": "acme/reader:2"}, "65532:65532", ""),
        ({"annotations": {"tidegate.io/processor": "nuclio"}}, "65532:65532", ""),
        ({"build": {"commands": ["@nuclio.postCopy", "true"]}}, "65532:65532", "65532:65532"),
    ],
)
def test_user_of_the_image_counts_only_where_functions_may_be_root(
    spec: dict[str, Any], user: str, with_root: str
) -> None:
    plan = plan_function(make_function(files=() if "image" in spec else ("main.py",), **spec), Settings())
    found = [
        plan_service(plan, Settings(allow=Allow(root=root)), image="image:1", vault=VAULT, is_deployed=True).user
        for root in (False, True)
    ]
    assert found == [user, with_root]


def test_limits() -> None:
    service = make_service(resources={"limits": {"cpu": "500m", "memory": "64Mi"}})
    assert (service.cpus, service.memory) == ("0.5", 64 * 2**20)


@pytest.mark.parametrize(("default", "memory"), [("1Gi", 2**30), ("64M", 64_000_000), ("0", 0)])
def test_default_limits(default: str, memory: int) -> None:
    service = make_service(Settings(defaults=Defaults(memory=default, pids=64)))
    assert (service.memory, service.pids) == (memory, 64)


@pytest.mark.parametrize(
    ("policy", "restart"),
    [
        ({}, "unless-stopped"),
        ({"name": "no"}, "no"),
        ({"name": "on-failure", "maximumRetryCount": 3}, "on-failure:3"),
        ({"name": "on-failure"}, "on-failure"),
        ({"name": "always", "maximumRetryCount": 3}, "always"),
    ],
)
def test_restart(policy: dict[str, Any], restart: str) -> None:
    assert make_service(platform={"attributes": {"restartPolicy": policy}}).restart == restart


def test_grace_is_longer_than_the_longest_wait() -> None:
    triggers = {
        "a": {"kind": "rabbit-mq", "workerTerminationTimeout": "1m"},
        "b": {"kind": "http", "workerTerminationTimeout": "5s"},
    }
    assert make_service(triggers=triggers).grace > 60
    assert make_service().grace > 10


def test_secrets_are_not_variables() -> None:
    reference = {"name": "U", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}
    service = make_service(env=[reference, {"name": "A", "value": "b"}])
    assert service.environment == {"A": "b"}
    assert [mount.target for mount in service.mounts] == [
        "/run/secrets/broker.signature-key",
        "/run/secrets/broker.url",
    ]
    assert service.labels["io.tidegate.secrets"] != make_service().labels["io.tidegate.secrets"]
    assert make_service(disableDefaultHTTPTrigger=True).labels["io.tidegate.secrets"] == ""


def test_labels_by_which_containers_are_found_are_not_the_authors() -> None:
    labels = {FUNCTION_LABEL: "other", FILES_LABEL: "mine", SECRETS_LABEL: "mine", VERSION_LABEL: "3", "own": "kept"}
    function = make_function()
    config = function.config.model_copy(update={"metadata": Metadata(labels=labels)})
    plan = plan_function(replace(function, config=config), Settings())
    service = plan_service(plan, Settings(), image="image:1", vault=VAULT, is_deployed=True)
    assert service.labels == {
        "nuclio.io/platform": "local",
        "nuclio.io/namespace": "nuclio",
        "nuclio.io/function-name": "thermo",
        "nuclio.io/project-name": "default",
        "own": "kept",
        "io.tidegate.secrets": VAULT.digest(service.mounts),
    }


def test_alias_is_nuclios() -> None:
    assert make_service().alias == "nuclio-nuclio-thermo"


@pytest.mark.parametrize("credentials", [GUEST_CREDENTIALS, MADE])
def test_anything_goes_while_only_this_machine_reaches_it(credentials: Credentials) -> None:
    check_exposure(Settings(), credentials, has_login=False)


def test_everybodys_account_stays_on_this_machine() -> None:
    check_exposure(PLAIN, MADE, has_login=True)
    with pytest.raises(ConfigError, match=r"^stack.yaml: bind: 0\.0\.0\.0 lets .* `invoke credentials`"):
        check_exposure(WIDE, GUEST_CREDENTIALS, has_login=True)


def test_dashboard_without_a_login_stays_on_this_machine() -> None:
    with pytest.raises(ConfigError, match=r"without a login\. Type `invoke credentials --dashboard`"):
        check_exposure(WIDE, MADE, has_login=False)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"bind": "0.0.0.0"}, r"bind: 0\.0\.0\.0 lets other machines in without TLS, .* `tls: \{enabled: true\}`"),
        ({"bind": {"mqtt": "0.0.0.0"}}, r"bind: \{mqtt: 0\.0\.0\.0\} lets other machines use mqtt without TLS"),
        (
            {"bind": {"mqtts": "0.0.0.0", "amqp": "0.0.0.0"}, "tls": {"enabled": True}},
            r"bind: \{amqp: 0\.0\.0\.0, mqtts: 0\.0\.0\.0\} lets other machines use amqp without TLS",
        ),
    ],
)
def test_what_is_sent_can_be_read_by_no_one_unless_that_is_said(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_exposure(Settings.model_validate(document), MADE, has_login=True)
    check_exposure(Settings.model_validate(document | {"plaintext": True}), MADE, has_login=True)


def test_devices_alone_may_reach_their_port() -> None:
    settings = Settings.model_validate({"bind": {"mqtts": "0.0.0.0"}, "tls": {"enabled": True}})
    check_exposure(settings, MADE, has_login=False)
    with pytest.raises(ConfigError, match="guest/guest"):
        check_exposure(settings, GUEST_CREDENTIALS, has_login=False)


def test_nuclios_dashboard_is_never_offered_to_others() -> None:
    nuclio = Dashboard(implementation=Implementation.NUCLIO)
    check_exposure(PLAIN.model_copy(update={"dashboard": nuclio}), MADE, has_login=False)
    inputs = Inputs(
        WIDE.model_copy(update={"dashboard": nuclio}), BaseImages(ImageSource.REGISTRY, Archive("", ())), ACCOUNTS
    )
    document = yaml.safe_load(render_compose(inputs))
    assert document["services"]["dashboard"]["ports"] == ["127.0.0.1:8070:8070"]
    published = ["0.0.0.0:8080:8080", "0.0.0.0:9000:15672", "0.0.0.0:15692:15692"]
    assert document["services"]["gateway"]["ports"] == published


@pytest.mark.parametrize(
    ("code", "dockerfile"),
    [
        ("", "../../.stack/functions/thermo/Dockerfile"),
        ("code", "../.stack/functions/thermo/Dockerfile"),
        (".stack/state/sources/thermo/1f", "../../../../functions/thermo/Dockerfile"),
        ("../elsewhere", "../home of mine/.stack/functions/thermo/Dockerfile"),
    ],
)
def test_dockerfile_is_found_from_the_folder_of_the_code(code: str, dockerfile: str) -> None:
    """Compose looks for it below that folder."""
    plan = plan_function(replace(make_function(), code=code), Settings())
    service = plan_service(plan, Settings(), image="i", vault=make_vault(), is_deployed=True)
    base_images = BaseImages(ImageSource.REGISTRY, Archive("", ()))
    inputs = Inputs(Settings(), base_images, ACCOUNTS, (service,), home=HostContext(workspace="/a/home of mine"))
    build = yaml.safe_load(render_compose(inputs))["services"]["function-thermo"]["build"]
    assert build["dockerfile"] == dockerfile
    assert build["context"] == f"../{code or 'functions/thermo'}"


def test_how_many_there_are_changes_no_digest() -> None:
    digests = {
        digest_services(f"services: {{f: {{image: i, deploy: {{replicas: {count}}}}}}}".encode())["f"]
        for count in (1, 2)
    }
    assert digests == {digest_services(b"services: {f: {image: i}}")["f"]}
