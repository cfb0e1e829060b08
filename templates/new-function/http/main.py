"""Converts degrees Celsius, the body of a request, to degrees Fahrenheit."""

import math


def handler(context, event):
    """Answer with both numbers; a body that is no number is answered with 400."""
    try:
        celsius = float(event.body)
    except (TypeError, ValueError):
        celsius = math.nan
    if not math.isfinite(celsius):
        return context.Response(body="the body should be a number such as 21.5", status_code=400)
    context.logger.info_with("Converted", celsius=celsius)
    return {"celsius": celsius, "fahrenheit": round(celsius * 9 / 5 + 32, 1)}
