"""The logger as a function of Tidegate's own, which the stack has where stack.yaml says `logger: {service: true}`."""

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import Function
from stack.contract import FEEDBACK_BYTES, FEEDBACK_FOLDER
from stack.plan.function import FunctionPlan, plan_function

NAME = "tidegate-logger"
# The queue on which the functions of the example say what they have handled, as the tutorial's own logger declares it.
LOGS, IS_DURABLE = "iot/logs", False
_HANDLER = "stack.processor.feedback:handler"
# Lines that become one write to the disk, and how long the first of them waits for more.
_BATCH, _WAIT = 500, "200ms"
# Attempts while there is no room on the disk.
_RETRIES = 20
_MEGABYTE = 1000 * 1000


def plan_logger(settings: Settings, image: str) -> FunctionPlan:
    """Return the logger as a function that runs on the processor's own image."""
    document = {
        "metadata": {"name": NAME},
        "spec": {
            "description": "Keeps what functions say on iot/logs.",
            "handler": _HANDLER,
            "image": image,
            "build": {"codeEntryType": "image"},
            "disableDefaultHTTPTrigger": True,
            "env": [{"name": FEEDBACK_BYTES, "value": str(settings.logger.megabytes * _MEGABYTE)}],
            "volumes": [
                {
                    "volume": {"name": "lines", "persistentVolumeClaim": {"claimName": NAME}},
                    "volumeMount": {"name": "lines", "mountPath": FEEDBACK_FOLDER},
                }
            ],
            "triggers": {
                "logs": {
                    "kind": "rabbit-mq",
                    "attributes": {"queueName": LOGS, "durableQueue": IS_DURABLE, "maxRetries": _RETRIES},
                    "batch": {"mode": "enable", "batchSize": _BATCH, "timeout": _WAIT},
                }
            },
        },
    }
    config = parse_model(FunctionConfig, document, name="stack.yaml: logger")
    return plan_function(Function(NAME, f"functions/{NAME}", config, ()), settings)
