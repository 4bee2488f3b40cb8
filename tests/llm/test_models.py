"""Roles to models: what the settings and the environment decide."""

import subprocess
import sys

import pytest
from pydantic import SecretStr

from codelab.core.errors import ConfigError
from codelab.core.settings_llm import LLMSettings, ModelNames
from codelab.llm.demo import DemoChatModel
from codelab.llm.models import StaticModels, build_models
from codelab.llm.scripted import ScriptedChatModel


def test_without_an_endpoint_the_demo_model_plays_every_role():
    models = build_models(LLMSettings())
    assert isinstance(models.chat("strong"), DemoChatModel)
    assert models.chat("fast") is models.chat("strong") is models.chat("unheard of")


def test_an_endpoint_gives_one_model_per_name():
    names = ModelNames(strong="big", fast="small")
    models = build_models(LLMSettings(base_url="http://127.0.0.1:1/v1", models=names, timeout_s=7, max_retries=1))
    strong, fast = models.chat("strong"), models.chat("fast")
    assert (strong.model_name, fast.model_name) == ("big", "small")
    assert (strong.request_timeout, strong.max_retries, strong.stream_usage) == (7, 1, True)
    assert models.chat("strong") is strong
    assert models.chat("reviewer") is strong


def test_fast_falls_back_to_strong_and_the_key_is_kept():
    models = build_models(LLMSettings(api_key=SecretStr("k1"), models=ModelNames(strong="big")))
    assert models.chat("fast") is models.chat("strong")
    assert models.chat("strong").openai_api_key.get_secret_value() == "k1"


def test_the_environment_of_openai_counts(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:2/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "k2")
    model = build_models(LLMSettings(models=ModelNames(strong="big"))).chat("strong")
    assert (model.openai_api_base, model.openai_api_key.get_secret_value()) == ("http://127.0.0.1:2/v1", "k2")


def test_an_endpoint_without_a_model_name_is_refused():
    with pytest.raises(ConfigError, match="CODELAB_LLM__MODELS__STRONG"):
        build_models(LLMSettings(base_url="http://127.0.0.1:1/v1"))


def test_static_models():
    one, two = ScriptedChatModel.of("1"), ScriptedChatModel.of("2")
    assert StaticModels(one).chat("fast") is one
    assert StaticModels({"strong": one, "fast": two}).chat("fast") is two
    assert StaticModels({"strong": one}).chat("fast") is one
    with pytest.raises(ConfigError, match="strong"):
        StaticModels({"fast": one})


def test_the_openai_client_is_imported_only_when_needed():
    code = "import sys; from codelab.llm.models import *; build_models(LLMSettings()); print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
