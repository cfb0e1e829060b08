import time


def handler(context, event):
    print(f"began {event.path}")
    time.sleep(float(event.body or 0))
    return context.worker_id
