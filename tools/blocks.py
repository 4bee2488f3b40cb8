"""The shape of one replacement as models give it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .editing import Edit


class EditBlock(BaseModel):
    """One replacement."""

    model_config = ConfigDict(extra="forbid")

    old: str = Field(description="The text to replace, exactly as it stands in the file, without line numbers")
    new: str = Field(description="The text to put there; empty deletes")
    replace_all: bool = Field(default=False, description="Replace every occurrence instead of the only one")

    def edit(self) -> Edit:
        """Hand it to the engine."""
        return Edit(self.old, self.new, self.replace_all)


def _forgiven(value: Any) -> Any:
    # Some models send the list as a JSON text, or a single block without its list.
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return [value] if isinstance(value, dict) else value


EditBlocks = Annotated[list[EditBlock], BeforeValidator(_forgiven)]
"""The `edits` argument of `edit_file`."""
