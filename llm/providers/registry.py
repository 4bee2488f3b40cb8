"""One adapter for each provider of a catalogue, all on one pool of connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..catalog import Catalogue, Provider, ProviderKind
from ..seams import Adapter
from .anthropic import AnthropicAdapter
from .gemini import GeminiAdapter
from .http import Http
from .offline import OfflineAdapter
from .openai import OpenAIAdapter


class Adapters(Mapping[str, Adapter]):
    """Adapters by the names of their providers; `close` gives all connections back."""

    def __init__(self, adapters: Mapping[str, Adapter], http: Http) -> None:
        self._adapters = dict(adapters)
        self.http = http

    def __getitem__(self, name: str) -> Adapter:
        """Return the adapter of a provider."""
        return self._adapters[name]

    def __iter__(self) -> Iterator[str]:
        """Give the providers' names."""
        return iter(self._adapters)

    def __len__(self) -> int:
        """Count the providers."""
        return len(self._adapters)

    async def close(self) -> None:
        """Close every adapter, then the pool."""
        for adapter in self._adapters.values():
            await adapter.close()
        await self.http.close()


def _langchain(provider: Provider, _: Http) -> Adapter:
    from .langchain import LangChainAdapter  # noqa: PLC0415 - takes a second and 40 MB; only who names one pays

    return LangChainAdapter(provider)


_KINDS: Final[Mapping[ProviderKind, Callable[[Provider, Http], Adapter]]] = {
    "openai": OpenAIAdapter,
    "anthropic": AnthropicAdapter,
    "gemini": GeminiAdapter,
    "langchain": _langchain,
    "offline": lambda provider, _: OfflineAdapter(provider),
}


def open_adapter(provider: Provider, http: Http) -> Adapter:
    """Build the adapter of one provider on a pool."""
    return _KINDS[provider.kind](provider, http)


def build_adapters(catalogue: Catalogue) -> Adapters:
    """Build the adapters of all providers; nothing is opened before it is used."""
    http = Http()
    return Adapters({name: open_adapter(each, http) for name, each in catalogue.providers.items()}, http)
