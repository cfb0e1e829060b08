"""What a function's pod is given."""

from dataclasses import replace
from typing import Any

import pytest

from stack.config.allow import Allow
from stack.config.settings import Settings
from stack.plan.kubernetes.loss import find_losses
from stack.plan.kubernetes.volume import list_volumes
from tests.unit.plan.kubernetes.samples import make_workload


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}),
        # What is kept free is never more than what it may take, which an API server refuses.
        (
            {"limits": {"cpu": "20m", "memory": "64Mi"}},
            {"limits": {"cpu": "20m", "memory": "64Mi"}, "requests": {"cpu": "20m", "memory": "64Mi"}},
        ),
        (
            {"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi", "cpu": "2", "disk": "1"}},
            {"limits": {"memory": "2Gi"}, "requests": {"cpu": "2", "memory": "1Gi"}},
        ),
        ({"limits": {"memory": "0"}}, {"limits": {}, "requests": {"cpu": "50m", "memory": "128Mi"}}),
        (
            {"requests": {"memory": "a lot"}},
            {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        ),
    ],
)
def test_resources(resources: dict[str, Any], expected: dict[str, Any]) -> None:
    assert make_workload(resources=resources).resources == expected


def test_who_is_no_one_in_particular_and_who_is_root() -> None:
    assert make_workload().security["runAsNonRoot"]
    allowed = Settings(allow=Allow(root=True))
    root = make_workload(settings=allowed, securityContext={"runAsUser": 0}).security
    assert (root["runAsNonRoot"], root["runAsUser"]) == (False, 0)


def test_pods_that_restricted_refuses_are_known() -> None:
    allowed = Settings(allow=Allow(root=True, host_paths=("/srv/data",)))
    folder = {
        "volume": {"name": "a", "hostPath": {"path": "/srv/data"}},
        "volumeMount": {"name": "a", "mountPath": "/a"},
    }
    assert make_workload().is_restricted
    assert make_workload(image="acme/reader:2", files=()).is_restricted
    # The user that its image names may be root.
    assert not make_workload(settings=allowed, image="acme/reader:2", files=()).is_restricted
    assert not make_workload(settings=allowed, securityContext={"runAsUser": 0}).is_restricted
    assert not make_workload(settings=allowed, volumes=[folder]).is_restricted


def test_an_empty_prefix_of_variables_is_none() -> None:
    given = [{"configMapRef": {"name": "plant"}}, {"prefix": "A_", "configMapRef": {"name": "plant"}}]
    assert ["prefix" in one for one in make_workload(envFrom=given).config_maps] == [False, True]


def test_a_new_volume_is_the_functions_own() -> None:
    volume = {"volume": {"name": "a", "persistentVolumeClaim": {"claimName": "a"}}}
    workload = make_workload(volumes=[{**volume, "volumeMount": {"name": "a", "mountPath": "/a"}}])
    assert workload.security["fsGroup"] == 65532
    assert workload.is_recreated


def test_a_variable_is_what_its_author_wrote() -> None:
    workload = make_workload(env=[{"name": "A", "value": "$(B) $C $$"}, {"name": "x/y", "value": "1"}])
    # Kubernetes makes one dollar of two.
    assert workload.environment["A"] == "$$(B) $$C $$$$"
    assert "x/y" not in workload.environment
    assert any("'x/y' is no name of a variable" in line for line in find_losses(workload, None))


def test_time_to_end_is_that_of_its_slowest_worker() -> None:
    trigger = {"kind": "http", "workerTerminationTimeout": "40s"}
    assert make_workload(triggers={"web": trigger}).grace_seconds == 50
    assert make_workload(disableDefaultHTTPTrigger=True).drain_seconds == 0


def test_a_login_leaves_no_route() -> None:
    workload = make_workload(triggers={"web": {"kind": "http", "attributes": {"authentication": "basic"}}})
    assert not workload.is_routed
    assert any("asks for a login" in line for line in find_losses(workload, None))


def test_ways_in_of_the_original_platform_are_told() -> None:
    attributes = {"ingresses": {"0": {"host": "plant.example", "paths": ["/"]}}, "serviceType": "NodePort"}
    workload = make_workload(triggers={"web": {"kind": "http", "attributes": attributes}})
    told = [line.partition(" is left out; the route leads to /thermo/") for line in find_losses(workload, None)]
    assert sorted(one for one, found, _ in told if found) == ["spec.triggers: ingresses", "spec.triggers: serviceType"]


def test_what_belongs_into_an_overlay_is_told() -> None:
    workload = make_workload(sidecars=[{"name": "proxy"}], hostIPC=True, imagePullPolicy="Always")
    told = [line.partition(":")[0] for line in find_losses(workload, None)]
    assert sorted(told) == ["spec.hostIPC", "spec.sidecars"]
    assert workload.pull_policy == "Always"
    assert make_workload(imagePullPolicy="Sometimes").pull_policy == "IfNotPresent"


def test_services_are_called_as_functions_look_for_them() -> None:
    assert make_workload("thermo").alias == "nuclio-nuclio-thermo"
    # No Service can be called so, and no function finds it by this name either.
    assert not make_workload("a_b").alias


def test_a_folder_of_the_authors_own_takes_the_place_of_tmp() -> None:
    volume = {"volume": {"name": "a", "emptyDir": {}}, "volumeMount": {"name": "a", "mountPath": "/tmp/"}}
    workload = make_workload(volumes=[volume], securityContext={"readOnlyRootFilesystem": True})
    assert [mount["mountPath"] for _, mount in list_volumes(workload) if "tmp" in mount["mountPath"]] == ["/tmp/"]


def test_no_label_of_an_author_opens_a_way_in() -> None:
    workload = make_workload(triggers={"web": {"kind": "http", "attributes": {"authentication": "basic"}}})
    config = workload.service.plan.function.config
    metadata = config.metadata.model_copy(update={"labels": {"tidegate.io/routed": "true", "tier": "a"}})
    function = replace(workload.service.plan.function, config=config.model_copy(update={"metadata": metadata}))
    service = replace(workload.service, plan=replace(workload.service.plan, function=function))
    labels = replace(workload, service=service).labels
    assert "tidegate.io/routed" not in labels
    assert labels["tier"] == "a"
