"""The annotated examples in ``etc/`` load as they stand, name every key, and show the true defaults."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from kubeoidcproxy.config.kube_shapes import AUTHENTICATOR, ISSUER
from kubeoidcproxy.config.load import Loaded, load
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.schema import sections
from kubeoidcproxy.config.section import Section

ETC = Path(__file__).parent.parent.parent / "etc"
EXAMPLE = (ETC / "kubeoidcproxy.yaml").read_text(encoding="utf-8")


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    for name in ("kubeoidcproxy.yaml", "authentication.yaml"):
        shutil.copy(ETC / name, tmp_path)
    return load(tmp_path / "kubeoidcproxy.yaml")


def test_it_loads_without_a_warning(loaded: Loaded) -> None:
    assert loaded.warnings == ()
    assert len(loaded.authentication.jwt) == 2
    assert [cluster.name for cluster in loaded.config.clusters] == ["prod"]


@pytest.mark.parametrize("model", set(sections(Config)), ids=lambda model: model.__name__)
def test_it_names_every_key(model: type[Section]) -> None:
    for field in model.model_fields.values():
        assert re.search(rf"^[ #-]*(\w+: {{)?{field.alias}:", EXAMPLE, re.MULTILINE), field.alias


def test_the_authentication_example_names_kubes_keys() -> None:
    text = (ETC / "authentication.yaml").read_text(encoding="utf-8")
    for key in set(ISSUER) | set(AUTHENTICATOR):
        assert f"{key}:" in text, key


def test_values_shown_are_the_defaults(loaded: Loaded) -> None:
    # What has no default, and what a first installation must set.
    own = {"listen", "tls", "admin", "config_file", "clusters", "certificates"}
    assert list(differences(loaded.config, own)) == []


def differences(section: Any, own: set[str]) -> Any:
    for name, field in type(section).model_fields.items():
        value = section.__dict__[name]
        if isinstance(value, Section):
            yield from differences(value, own)
        elif name not in own and value != field.get_default(call_default_factory=True, validated_data={}):
            yield name, value
