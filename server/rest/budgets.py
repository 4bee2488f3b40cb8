"""Limits on what may be spent: whoever runs the tenant sets them, everybody sees their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from ...core.errors import Unavailable
from ...core.types import Principal
from ...llm.accounting.budgets import SqlBudgets
from ...llm.accounting.schemas import Budget, NewBudget
from ...llm.accounting.setting import BudgetService
from ..deps import needs
from .usage import UsageReader

router = APIRouter(prefix="/budgets", tags=["usage"])
BudgetAdmin = Annotated[Principal, needs("llm:admin")]


async def budgets_of(request: Request) -> BudgetService:
    """The budgets of the app that serves this request."""
    budgets = request.app.state.runtime.llm.budgets
    if not isinstance(budgets, SqlBudgets):
        raise Unavailable("This server keeps no budgets: set CODELAB_LLM__BUDGETS__ENABLED=true.")
    return BudgetService(budgets)


CurrentBudgets = Annotated[BudgetService, Depends(budgets_of)]


@router.get("")
async def list_budgets(principal: UsageReader, budgets: CurrentBudgets) -> list[Budget]:
    """List your budgets, or with `llm:admin` the tenant's, with those who have spent most of each."""
    return await budgets.all(principal)


@router.get("/{budget_id}")
async def get_budget(budget_id: str, principal: UsageReader, budgets: CurrentBudgets) -> Budget:
    """Look at one budget."""
    return await budgets.get(principal, budget_id)


@router.put("")
async def put_budget(body: NewBudget, principal: BudgetAdmin, budgets: CurrentBudgets) -> Budget:
    """Set a limit for a scope, subject and period; it holds at once here, and soon in every process."""
    return await budgets.put(principal, body)


@router.delete("/{budget_id}", status_code=204)
async def delete_budget(budget_id: str, principal: BudgetAdmin, budgets: CurrentBudgets) -> None:
    """Delete a limit and what was counted against it."""
    await budgets.delete(principal, budget_id)
