import module_that_nobody_has


def handler(context, event):
    return module_that_nobody_has.answer()
