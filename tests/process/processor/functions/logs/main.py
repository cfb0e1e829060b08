import logging

logging.basicConfig()


def handler(context, event):
    context.logger.debug("a debug line")
    context.logger.info_with("with fields", number=1, text="é")
    context.logger.warn("formatted %s", "text")
    context.logger.error("an error")
    print("printed")
    return "ok"
