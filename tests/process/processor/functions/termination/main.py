import time


def init_context(context):
    context.platform.set_termination_callback(lambda: print("terminated"))


def handler(context, event):
    print("began")
    time.sleep(float(event.body or 0))
    print("handled")
    return "done"
