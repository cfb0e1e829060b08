from json import dumps

NOT_CALLABLE = 1


def first(context, event):
    return dumps(1)


def second(context, event):
    return dumps(2)
