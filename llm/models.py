"""Roles to chat models: over the gateway in this process, over a plain endpoint, or as objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from ..core.errors import ConfigError
from ..core.settings_llm import LLMSettings
from .demo import DemoChatModel

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from .catalog import Catalogue
    from .gateway import Gateway

STRONG, FAST = "strong", "fast"
_NO_KEY = SecretStr("none")  # a local endpoint wants no key, its client wants some


class StaticModels:
    """Models given as objects: one for every role, or a mapping with `strong` for roles it does not name."""

    def __init__(self, models: BaseChatModel | Mapping[str, BaseChatModel]) -> None:
        self._models = {STRONG: models} if isinstance(models, BaseChatModel) else dict(models)
        if STRONG not in self._models:
            raise ConfigError(f"The models need a {STRONG!r} one: it stands in for every role that is not named.")

    def chat(self, role: str) -> BaseChatModel:
        """Return the model of a role; `strong` plays a role that is not known."""
        return self._models.get(role, self._models[STRONG])


class GatewayModels:
    """The models of a gateway's catalogue, by role.

    Args:
        gateway: Answers.
        catalogue: Knows who plays which role.
    """

    def __init__(self, gateway: Gateway, catalogue: Catalogue) -> None:
        self._gateway = gateway
        self._catalogue = catalogue
        self._made: dict[str, BaseChatModel] = {}

    def chat(self, role: str) -> BaseChatModel:
        """Return the model of a role; `strong` plays a role that is not known."""
        role = role if self._catalogue.playing(role) else STRONG
        if role not in self._made:
            from .chat_model import CodeLabChatModel  # noqa: PLC0415 - LangChain takes its time to be imported

            self._made[role] = CodeLabChatModel(gateway=self._gateway, model_name=role)
        return self._made[role]


def build_models(settings: LLMSettings) -> StaticModels:
    """Build the model of each role without a gateway: the endpoint may be one, in another process.

    Raises:
        ConfigError: An endpoint or a key is set, but no model is named.
    """
    base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = settings.api_key or _key_of_environment()
    if base_url is None and key is None:
        return StaticModels(DemoChatModel())
    strong = settings.models.strong
    if not strong:
        raise ConfigError(
            "A model endpoint is set but no model is named: set CODELAB_LLM__MODELS__STRONG "
            "(and, if you like, CODELAB_LLM__MODELS__FAST) to a model the endpoint serves."
        )
    names = {STRONG: strong, FAST: settings.models.fast or strong}
    made = {name: _open(name, settings, base_url, key or _NO_KEY) for name in set(names.values())}
    return StaticModels({role: made[name] for role, name in names.items()})


def _key_of_environment() -> SecretStr | None:
    key = os.environ.get("OPENAI_API_KEY")
    return SecretStr(key) if key else None


def _open(name: str, settings: LLMSettings, base_url: str | None, key: SecretStr) -> ChatOpenAI:
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - takes a second; nobody without an endpoint should wait

    return ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=key,
        timeout=settings.timeout_s,
        stream_chunk_timeout=settings.timeout_s,
        max_retries=settings.max_retries,
        stream_usage=True,
        use_responses_api=False,
    )
