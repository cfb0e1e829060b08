from nuclio_sdk import ExceptionWithResponse


def handler(context, event):
    context.logger.debug("some detail")
    context.logger.info_with("for who asks", count=3)
    if event.path == "/teapot":
        raise ExceptionWithResponse(418, {"error": "tea"}, "application/json")
    if event.path == "/bad":
        raise ExceptionWithResponse("none")
    if event.path == "/long":
        context.logger.info("x" * 5000)
    if event.path == "/unfit":
        context.logger.info("%d degrees", "warm")
    if event.path == "/fail":
        raise ValueError("secret of the house")
    return "fine"
