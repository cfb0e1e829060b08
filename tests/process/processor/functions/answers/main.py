import datetime

import nuclio_sdk


def handler(context, event):
    return ANSWERS[event.path](context)


def fail(context):
    raise ValueError("it does not work")


def leave(context):
    raise SystemExit(3)


ANSWERS = {
    "/text": lambda context: "grüße",
    "/bytes": lambda context: b"\x00\xff",
    "/none": lambda context: None,
    "/number": lambda context: 1.5,
    "/dict": lambda context: {"a": float("nan")},
    "/list": lambda context: [1, {"b": 2}],
    "/empty-list": lambda context: [],
    "/status-text": lambda context: (201, "made"),
    "/status-dict": lambda context: (202, {"a": None}),
    "/triple": lambda context: (1, 2, 3),
    "/response": lambda context: context.Response(
        body="<a/>", headers={"X-Number": 7, "X-Flag": True}, content_type="text/xml", status_code=418
    ),
    "/response-dict": lambda context: nuclio_sdk.Response(body={"a": 1}, content_type="text/xml"),
    "/header-type": lambda context: context.Response(body="x", headers={"Content-Type": "text/csv"}),
    "/no-content": lambda context: context.Response(status_code=204),
    "/split-header": lambda context: context.Response(body="x", headers={"X-A": "1\r\nX-B: 2"}),
    "/bad-status": lambda context: context.Response(body="x", status_code="200"),
    "/bad-type": lambda context: context.Response(body="x", content_type=5),
    "/bad-json": lambda context: context.Response(body={"a": datetime.datetime.now()}),
    "/fail": fail,
    "/leave": leave,
}
