def handler(context: object, event: object) -> int:
    return 1
