import os
from pathlib import Path


def init_context(context):
    context.user_data.greeting = Path(os.environ["GREETING_FILE"]).read_text()


def handler(context, event):
    return context.user_data.greeting
