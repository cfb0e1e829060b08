"""How vmalert does with its rules: those that it cannot calculate."""

import json

from urllib3.exceptions import HTTPError

from stack.alertmanager.client import find_host
from stack.docker.stack import Stack
from stack.errors import AlertError
from stack.plan.alert import PORT, SERVICE
from stack.state.http_client import explain, open_local_pool

_TIMEOUT, _OK = 5.0, 200


def fetch_rule_problems(stack: Stack) -> dict[str, str]:
    """Return why alerts cannot be calculated, by their names.

    Raises:
        AlertError: vmalert does not answer.
    """
    url = f"http://{find_host(stack, SERVICE)}:{PORT}/api/v1/rules"
    try:
        answer = open_local_pool().request("GET", url, timeout=_TIMEOUT)
    except HTTPError as error:
        raise AlertError(f"{SERVICE} does not answer: {explain(error)}. `invoke up` starts it.") from error
    if answer.status != _OK:
        raise AlertError(f"{SERVICE} answers with status {answer.status}.")
    rules = [rule for group in json.loads(answer.data)["data"]["groups"] for rule in group["rules"]]
    return {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")}
