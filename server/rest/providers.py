"""How the model providers are doing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from ...core.types import Principal
from ...llm.resilience.view import Overview, overview
from ..deps import CurrentRuntime, needs

router = APIRouter()
GatewayAdmin = Annotated[Principal, needs("llm:admin")]  # whose traffic this is does not stop at a tenant's wall


@router.get("/providers", tags=["models"])
async def list_providers(principal: GatewayAdmin, runtime: CurrentRuntime) -> Overview:  # noqa: ARG001
    """List the providers and their models: which are left alone, why, and until when."""
    return overview(runtime.llm.upstreams, runtime.llm.catalogue.listed())
