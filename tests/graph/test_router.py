"""The router asks the real ChatOpenAI over a real socket."""

import warnings

from langchain_core.messages import HumanMessage

from codelab.agents.spec import load_agents
from codelab.core.context import RunSettings
from codelab.core.settings_llm import LLMSettings, ModelNames
from codelab.graph.router import Router
from codelab.llm.models import build_models
from codelab.llm.scripted import Script
from codelab.llm.scripted_server import serve

REPLY = {"structured": {"agent": "architect", "confidence": 0.9, "reason": "wants a plan"}}


async def test_a_model_is_asked_without_a_warning_on_the_terminal():
    async with serve(Script.model_validate({"name": "route", "replies": [REPLY]})) as server:
        named = ModelNames(strong="scripted")
        models = build_models(LLMSettings(base_url=server.url, models=named))
        router = Router(agents=load_agents(), models=models)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            route = await router.choose([HumanMessage("hm, the thing")], current=None, context=RunSettings())
    assert (route.agent, route.method, route.reason) == ("architect", "model", "wants a plan")
