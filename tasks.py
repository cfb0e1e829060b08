"""What Tidegate does for its user, one task for each verb."""

from invoke import Context, Exit

from stack.cli import JSON_HELP, build_namespace, verb
from stack.demo.tasks import client, demo, logger
from stack.dev.tasks import developers
from stack.run.alert_tasks import alerts, notify_test, test_alerts
from stack.run.backup.tasks import backup, restore
from stack.run.data_tasks import data, readings
from stack.run.devices.tasks import device, devices
from stack.run.function_tasks import (
    build_function,
    delete_function,
    deploy_function,
    export_function,
    function_schema,
    functions,
    import_function,
    invoke_function,
    new_function,
    rollback_function,
    run_function,
    scale_function,
    sites,
    test_function,
)
from stack.run.message_tasks import dead_letters, publish, watch


@verb(
    help={
        "source": "auto, docker (Docker's own repository) or distro (the distribution's packages)",
        "dry_run": "print every step and change nothing",
        "cloud_init": "print a cloud-config for a new Ubuntu machine",
        "yes": "do not ask before conflicting packages are removed",
        "swarm": "make this machine ready to join a Swarm too",
        "bind": "with --swarm, the address of this machine at which ports of services listen",
    }
)
def provision(
    _: Context,
    source: str = "auto",
    dry_run: bool = False,
    cloud_init: bool = False,
    yes: bool = False,
    swarm: bool = False,
    bind: str = "127.0.0.1",
) -> None:
    """Install and start Docker Engine, Compose and Buildx, where they are missing."""
    from stack.run.provision.provision import provision as provision_machine

    address = bind if swarm else ""
    provision_machine(source, dry_run=dry_run, cloud_init=cloud_init, yes=yes, swarm=address)


@verb(
    "name",
    iterable=["label"],
    help={
        "name": "a node; all are listed where it is left out",
        "label": "KEY=VALUE, by which spec.nodeSelector finds it; KEY= takes it away; may be given several times",
        "drain": "have all that runs there run elsewhere, and give it nothing new",
        "activate": "give it work again",
        "remove": "drain it, and take it out of the Swarm",
        **JSON_HELP,
    },
)
def nodes(
    _: Context,
    name: str = "",
    label: list[str] | None = None,
    drain: bool = False,
    activate: bool = False,
    remove: bool = False,
    json: bool = False,
) -> None:
    """List the machines of the Swarm and what runs on each, or change one."""
    from stack.run.nodes import NodeCommand, handle_nodes

    handle_nodes(NodeCommand(name, tuple(label or ()), drain, activate, remove), as_json=json)


@verb(help={"manager": "let it decide with the others; three managers may lose one"})
def join(_: Context, manager: bool = False) -> None:
    """Print what to type on another machine, for it to join this one's Swarm."""
    from stack.run.nodes import print_join

    print_join(is_manager=manager)


@verb()
def render(_: Context) -> None:
    """Write the stack's files to .stack/ and start nothing."""
    from stack.run.stack import render_stack

    render_stack()


@verb(help=JSON_HELP)
def plan(_: Context, json: bool = False) -> None:
    """Say what `up` and `deploy-function --all` would do; exit status 2 if that is anything."""
    from stack.run.plan import print_plan

    raise Exit(code=print_plan(as_json=json))


@verb()
def up(_: Context) -> None:
    """Start the stack, wait until it is healthy, and say what runs where."""
    from stack.run.up import bring_up_and_print

    bring_up_and_print()


@verb(help={"volumes": "forget the data of the broker and of functions too", "yes": "do not ask"})
def down(_: Context, volumes: bool = False, yes: bool = False) -> None:
    """Stop and remove every container of the stack."""
    from stack.console import confirm
    from stack.run.stack import take_down

    if volumes:
        confirm("Forget every queue and message of the broker, and what functions keep in volumes?", yes=yes)
    take_down(volumes=volumes)


@verb(help=JSON_HELP)
def status(_: Context, json: bool = False) -> None:
    """Tell what runs, how it is, and where it answers."""
    from stack.run.status import print_status

    print_status(as_json=json)


@verb(
    "name",
    help={
        "name": "a function or service; all if left out",
        "follow": "go on until Ctrl-C",
        "previous": "what a function's container said that was replaced or removed last",
    },
)
def logs(_: Context, name: str = "", follow: bool = False, previous: bool = False) -> None:
    """Print the logs of a function, a service, or all."""
    from stack.run.stack import print_logs

    print_logs(name, follow=follow, previous=previous)


@verb(
    help={
        "dashboard": "only the dashboard's login, such as when its password was forgotten",
        "gateway": "only the login of those who call functions",
        "overlap": "how long devices and callers of functions may still use the login before, such as 1h",
    }
)
def credentials(_: Context, dashboard: bool = False, gateway: bool = False, overlap: str = "") -> None:
    """Make random passwords for the broker, the dashboard and the gateway, which the next `up` applies."""
    from stack.run.devices.guest import renew_credentials

    renew_credentials(is_for_dashboard=dashboard, is_for_gateway=gateway, overlap=overlap)


@verb(
    iterable=["name", "ip"],
    help={
        "name": "a name by which devices and browsers call this machine; may be given several times",
        "ip": "an address by which they do; may be given several times",
        **JSON_HELP,
    },
)
def certificates(_: Context, name: list[str] | None = None, ip: list[str] | None = None, json: bool = False) -> None:
    """Make the certificates of ports with TLS, or add names to them, and show whom devices are to trust."""
    from stack.run.certificates import make_certificates

    make_certificates([*(name or ()), *(ip or ())], as_json=json)


@verb(
    help={
        "rebuild": "make or pull the base images again, however old they are",
        "dry-run": "show the steps and change nothing",
        "yes": "do not ask",
    }
)
def upgrade(_: Context, rebuild: bool = False, dry_run: bool = False, yes: bool = False) -> None:
    """Renew base images that are old, and take the broker's data along to another RabbitMQ."""
    from stack.run.upgrade import upgrade_and_print

    upgrade_and_print(rebuild=rebuild, dry_run=dry_run, yes=yes)


@verb(
    "action",
    "name",
    "key",
    help={
        "action": "set, list or remove",
        "name": "the secret's name",
        "key": "which of its values; to remove, all if left out",
        "value": "the value itself, which your shell's history keeps; without it you are asked, or a pipe is read",
        "file": "a file that holds the value, byte for byte",
        "force": "remove it although a deployed function uses it",
        **JSON_HELP,
    },
)
def secret(
    _: Context,
    action: str,
    name: str = "",
    key: str = "",
    value: str = "",
    file: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Set, list or remove passwords, tokens and keys that functions use and nothing shows."""
    from stack.run.secret import SecretCommand, handle_secrets

    handle_secrets(SecretCommand(action, name, key, value, file, force), as_json=json)


@verb("folder", help={"folder": "where it is to be; it is made if it is not there"})
def new_workspace(_: Context, folder: str) -> None:
    """Make a folder of your own for a stack and its functions, in which the command `tidegate` works."""
    from stack.run.new_workspace import new_workspace as make

    make(folder)


@verb(
    help={
        "output": "the folder; kubernetes/ if left out",
        "namespace": "a namespace that is there; the stack's own, called like the project, if left out",
        "registry": "where the cluster pulls functions' images from; images.registry of stack.yaml if left out",
        "push": "push the images there first, and name them by digest",
        "gateway": "the Gateway that routes belong to, NAME or NAMESPACE/NAME; tidegate if left out",
        "ingress": "the class of Ingresses that take the place of HTTPRoutes",
        "external-secrets": "the SecretStore, or ClusterSecretStore/NAME, that values of secrets come from",
        "nodes": "how many nodes the broker has: 1, 3 or 5; as in stack.yaml if left out",
        "secrets": "print the Secrets with their values, for kubectl, and write nothing",
    }
)
def export_kubernetes(  # noqa: PLR0913 -- each is an option of the command line
    _: Context,
    output: str | None = None,
    namespace: str | None = None,
    registry: str | None = None,
    push: bool = False,
    gateway: str | None = None,
    ingress: str | None = None,
    external_secrets: str | None = None,
    nodes: int = 0,
    secrets: bool = False,
) -> None:
    """Write the functions and the broker as a base for Kustomize, which `kubectl apply -k` takes."""
    from stack.run.kubernetes import ExportRequest
    from stack.run.kubernetes import export_kubernetes as export

    export(ExportRequest(output, namespace, registry, push, gateway, ingress, external_secrets, nodes, secrets))


# What `invoke --list` prints; a task that is in no group does not exist.
namespace = build_namespace(
    {
        "The stack": (
            provision,
            new_workspace,
            up,
            status,
            logs,
            down,
            plan,
            render,
            credentials,
            certificates,
            upgrade,
            backup,
            restore,
            nodes,
            join,
            export_kubernetes,
        ),
        "Functions": (
            new_function,
            run_function,
            test_function,
            deploy_function,
            invoke_function,
            functions,
            sites,
            scale_function,
            rollback_function,
            delete_function,
            build_function,
            import_function,
            export_function,
            function_schema,
            secret,
        ),
        "Messages": (demo, client, logger, publish, watch, dead_letters),
        "Readings": (readings, data),
        "Alerts": (alerts, test_alerts, notify_test),
        "Devices": (device, devices),
    },
    developers,
    aliases=("bench", "docs", "lint", "test"),
)
