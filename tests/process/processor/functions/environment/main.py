import os
import sys

AT_IMPORT = os.environ.get("PASSWORD")


def handler(context, event):
    names = [name for name in os.environ if name.startswith("NUCLIO_")]
    return {
        "at_import": AT_IMPORT,
        "plain": os.environ.get("PLAIN"),
        "nuclio": {name: os.environ[name] for name in names},
        "path": [sys.path[0], os.environ["PYTHONPATH"]],
        "context": [context.platform.kind, context.platform.namespace, context.trigger.kind, context.trigger_name],
    }
