"""Where there can be a store of readings."""

import pytest

from stack.config.data import Data, KeepRule
from stack.config.document import parse_model
from stack.config.settings import ImageSource, Settings
from stack.errors import ConfigError
from stack.plan.image import Archive, BaseImages
from stack.plan.store import check_store

KEPT = Settings(data=Data(keep=(KeepRule(topic="#"),)))


def make_bases(codename: str, source: ImageSource = ImageSource.DEBIAN) -> BaseImages:
    return BaseImages(source, Archive(codename, ()))


def test_system_without_the_package_is_told_the_way() -> None:
    channels = {"hook": {"webhook": {"url": "http://plant.example/"}}}
    watched = parse_model(Settings, {"notify": {"channels": channels}}, name="stack.yaml")
    for settings, asking in ((KEPT, "data.keep"), (watched, "notify")):
        text = rf"stack.yaml: {asking}: this system has no package of VictoriaMetrics.*source: registry"
        with pytest.raises(ConfigError, match=text):
            check_store(settings, make_bases("jammy"))
    check_store(KEPT, make_bases("jammy", ImageSource.REGISTRY))
    check_store(KEPT, make_bases("trixie"))
    check_store(Settings(), make_bases("jammy"))
