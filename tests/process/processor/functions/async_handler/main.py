import asyncio


async def init_context(context):
    context.user_data.ticks = 0
    context.user_data.task = asyncio.create_task(tick(context))
    context.platform.set_termination_callback(lambda: say("stopped"))


async def tick(context):
    while True:
        await asyncio.sleep(0.01)
        context.user_data.ticks += 1


async def say(text):
    await asyncio.sleep(0)
    print(text)


async def handler(context, event):
    if event.path == "/fail":
        raise ValueError("async failure")
    await asyncio.sleep(0.01)
    return str(context.user_data.ticks)


def decorated(context, event):
    return handler(context, event)
