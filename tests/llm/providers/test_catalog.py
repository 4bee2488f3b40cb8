"""Which models there are: built in, laid over by the operator, enabled by keys and settings."""

import pytest
from pydantic import SecretStr

from codelab.core.errors import ConfigError
from codelab.core.settings_llm import LLMSettings, ModelNames
from codelab.llm.catalog import Catalogue, Model, Provider
from codelab.llm.catalog_load import load_catalogue
from codelab.llm.errors import NoModel

KEY = "sk-very-secret-key"
OWN = "http://127.0.0.1:9/v1"


def load(env=None, **settings) -> Catalogue:
    return load_catalogue(LLMSettings(**settings), env or {})


def overlaid(tmp_path, text: str, env=None, **settings) -> Catalogue:
    path = tmp_path / "models.yaml"
    path.write_text(text, "utf-8")
    return load(env, catalog=path, **settings)


def names(catalogue: Catalogue) -> list[str]:
    return [model.id for model in catalogue.listed()]


def test_without_a_key_only_the_demo_model_answers():
    catalogue = load()
    assert {name: catalogue.find(name).id for name in ("demo", "strong", "fast", "embed")} == {
        "demo": "demo", "strong": "demo", "fast": "demo", "embed": "demo-embed",
    }  # fmt: skip
    assert names(catalogue) == ["demo", "demo-embed"]
    assert all(model.price.free for model in catalogue.listed())


@pytest.mark.parametrize(
    ("variable", "provider", "strong"),
    [
        ("OPENAI_API_KEY", "openai", "gpt-6.1-sol"),
        ("ANTHROPIC_API_KEY", "anthropic", "claude-sonnet-5-5"),
        ("GEMINI_API_KEY", "gemini", "gemini-4-argon"),
        ("GOOGLE_API_KEY", "gemini", "gemini-4-argon"),
        ("DEEPSEEK_API_KEY", "deepseek", "deepseek-v4-pro"),
        ("OPENROUTER_API_KEY", "openrouter", "openrouter/claude-sonnet-5.5"),
        ("MISTRAL_API_KEY", "mistral", "mistral-large-4"),
        ("XAI_API_KEY", "xai", "grok-4.7"),
        ("GROQ_API_KEY", "groq", "gpt-oss-120b"),
    ],
)
def test_a_key_in_the_environment_enables_its_provider(variable, provider, strong):
    catalogue = load({variable: KEY})
    assert catalogue.find("strong").id == strong
    assert {model.provider.name for model in catalogue.listed()} == {provider, "demo"}
    assert catalogue.find("fast").provider.key.get_secret_value() == KEY
    assert catalogue.find("demo").roles == ()


def test_every_built_in_model_has_a_price():
    keys = dict.fromkeys(("OPENAI", "ANTHROPIC", "GEMINI", "DEEPSEEK", "OPENROUTER", "MISTRAL", "XAI", "GROQ"), KEY)
    catalogue = load({f"{name}_API_KEY": key for name, key in keys.items()})
    assert [m.id for m in catalogue.listed() if m.price.free] == ["demo", "demo-embed"]
    assert all(m.price.version.startswith("genai-prices ") for m in catalogue.listed() if not m.price.free)


def test_fallbacks_name_only_models_that_are_there():
    catalogue = load({"ANTHROPIC_API_KEY": KEY})
    assert catalogue.find("sonnet").fallbacks == ("claude-opus-5-5",)


def test_keys_are_never_shown():
    catalogue = load({"ANTHROPIC_API_KEY": KEY})
    assert KEY not in repr(catalogue.listed()) + str(catalogue.providers)


def test_an_own_endpoint_is_the_default_provider():
    catalogue = load(
        {"OPENAI_API_KEY": KEY}, base_url=OWN, models=ModelNames(strong="big", fast="small", embed="vectors")
    )
    assert {role: catalogue.find(role).upstream for role in ("strong", "fast", "embed")} == {
        "strong": "big", "fast": "small", "embed": "vectors",
    }  # fmt: skip
    default = catalogue.find("big").provider
    assert (default.name, default.base_url, default.key.get_secret_value()) == ("default", OWN, KEY)
    assert catalogue.find("vectors").capabilities == {"embed"}
    assert set(catalogue.providers) == {"default", "demo"}  # the environment's key is for this endpoint, not OpenAI
    assert catalogue.find("big").price.version == "unknown"


def test_fast_is_played_by_strong_if_nobody_is_named():
    catalogue = load({"OPENAI_BASE_URL": OWN}, models=ModelNames(strong="big"))
    assert catalogue.find("fast") is catalogue.find("strong") is catalogue.find("big")
    assert catalogue.find("big").provider.key is None


def test_a_model_that_is_known_elsewhere_keeps_its_skills_at_an_own_endpoint():
    catalogue = load(base_url=OWN, models=ModelNames(strong="claude-sonnet-5-5"))
    assert catalogue.find("strong").window == 1_000_000
    assert catalogue.find("strong").provider.name == "default"


def test_an_endpoint_without_a_model_is_refused():
    with pytest.raises(ConfigError, match="CODELAB_LLM__MODELS__STRONG"):
        load(base_url=OWN)


def test_a_key_alone_is_openais():
    catalogue = load(api_key=SecretStr(KEY), models=ModelNames(strong="gpt-custom", fast="gpt-6-luna"))
    assert catalogue.find("strong").upstream == "gpt-custom"
    assert catalogue.find("fast").window == 1_050_000
    assert set(catalogue.providers) == {"openai", "demo"}


def test_named_models_of_any_provider_with_a_key():
    catalogue = load({"ANTHROPIC_API_KEY": KEY}, models=ModelNames(strong="opus"))
    assert catalogue.find("strong").id == catalogue.find("fast").id == "claude-opus-5-5"
    with pytest.raises(ConfigError, match=r"CODELAB_LLM__MODELS__STRONG is 'gpt-9'"):
        load({"ANTHROPIC_API_KEY": KEY}, models=ModelNames(strong="gpt-9"))


@pytest.mark.parametrize("name", ["nobody", "codelab/coder", "codelab/", ""])
def test_what_is_no_model_is_not_found(name):
    with pytest.raises(NoModel) as raised:
        load().find(name)
    assert (raised.value.status, raised.value.code) == (404, "model_not_found")


def test_an_operators_file_is_laid_over(tmp_path):
    catalogue = overlaid(
        tmp_path,
        """
        providers:
          lab: {kind: openai, base_url: "http://lab:8000/v1", headers: {X-Team: $TEAM}, traits: [reasoning_back]}
        models:
          claude-sonnet-5-5: {window: 200000, price: {input: 1.5, output: 7.5, cached: 0.15,
            long: {200000: {input: 3}}}}
          claude-opus-5-5: null
          qwen: {provider: lab, upstream: "Qwen/Qwen4-Coder", roles: [fast], price: {}}
        aliases: {quick: qwen}
        """,
        {"ANTHROPIC_API_KEY": KEY, "TEAM": "blue"},
    )
    sonnet, qwen = catalogue.find("sonnet"), catalogue.find("quick")
    assert (sonnet.window, sonnet.max_output) == (200_000, 64_000)
    assert (sonnet.price.input, sonnet.price.cached, sonnet.price.cache_write) == (1_500_000_000, 150_000_000, None)
    assert [(above, price.input) for above, price in sonnet.price.long] == [(200_000, 3_000_000_000)]
    assert sonnet.price.version.startswith("catalogue claude-sonnet-5-5 1500000000/")
    assert (qwen.upstream, qwen.provider.headers, qwen.price.free) == ("Qwen/Qwen4-Coder", {"X-Team": "blue"}, True)
    assert "claude-opus-5-5" not in names(catalogue)
    assert "blue" not in repr(qwen)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: {x: {provider: nobody}}", "add 'nobody' to `providers`"),
        ("models: {x: {provider: openai, fallbacks: [gone]}}", "there is no model 'gone'"),
        ("aliases: {quick: gone}", "there is no model 'gone'"),
        ("models: {codelab/coder: {provider: openai}}", "are agents; choose another"),
        ("aliases: {codelab/coder: claude-opus-5-5}", "are agents; choose another"),
        ("models: {x: {provider: openai, window: 0}}", "models.x.window"),
        ("models: {x: {provider: openai, colour: red}}", "models.x.colour"),
        ("models: {x: {provider: openai, price: {input: -1}}}", "models.x.price.input"),
        ("models: {x: {provider: openai, capabilities: [flying]}}", "models.x.capabilities"),
        ("providers: {p: {kind: openai, base_url: 'ftp://x'}}", "base_url must be http"),
        ("providers: {p: {kind: openai, base_url: 'http://u:p@x/v1'}}", "without a user name"),
        ("providers: {p: {kind: telepathy}}", "providers.p.kind"),
        ("- a\n- b", "write a mapping"),
        ("a: [", "is not YAML: line 2"),
    ],
)
def test_a_wrong_file_is_told_what_to_do(tmp_path, text, says):
    with pytest.raises(ConfigError) as raised:
        overlaid(tmp_path, text)
    assert says in str(raised.value)
    assert "models.yaml" in str(raised.value)


def test_a_header_whose_variable_is_not_set(tmp_path):
    text = "providers: {p: {kind: openai, base_url: 'http://x/v1', headers: {api-key: $NOT_SET}}}"
    with pytest.raises(ConfigError, match="NOT_SET"):
        overlaid(tmp_path, text + "\nmodels: {m: {provider: p}}")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(catalog=tmp_path / "none.yaml")


def test_the_first_of_a_role_plays_it_and_an_alias_stands_above_roles():
    provider = Provider(name="p", kind="offline")
    rows = [Model(id=name, provider=provider, upstream=name, roles=("strong",)) for name in "ab"]
    assert Catalogue(rows).find("strong").id == "a"
    assert Catalogue(rows).playing("fast") is None
    assert Catalogue(rows, aliases={"strong": "b"}).find("strong").id == "b"
