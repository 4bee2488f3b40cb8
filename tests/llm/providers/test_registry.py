"""One adapter for each provider of the catalogue, all on one pool."""

from codelab.core.settings_llm import LLMSettings, ModelNames
from codelab.llm.catalog_load import load_catalogue
from codelab.llm.providers.registry import build_adapters
from tests.llm.providers.dialects import OPENAI, answered, asking, told
from tests.support.upstream import upstream, whole


async def test_an_adapter_for_each_provider_and_one_close():
    async with upstream(whole(OPENAI.answer)) as up:
        settings = LLMSettings(base_url=up.url, models=ModelNames(strong="big"))
        catalogue = load_catalogue(settings, {"ANTHROPIC_API_KEY": "k" * 9, "GEMINI_API_KEY": "g" * 9})
        adapters = build_adapters(catalogue)
        assert sorted(adapters) == sorted(catalogue.providers) == ["anthropic", "default", "demo", "gemini"]
        assert len(adapters) == 4
        model = catalogue.find("strong")
        assert told(await answered(adapters[model.provider.name], model, asking(stream=False)))[0] == "Hello there"
        await adapters.close()
    assert up.asked[0].body["model"] == "big"
    assert adapters.http.open_connections == 0


async def test_what_was_never_used_is_closed_as_easily():
    adapters = build_adapters(load_catalogue(LLMSettings(), {}))
    await adapters.close()
    await adapters.close()
