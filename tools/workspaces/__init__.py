"""Folders an agent can work in, behind `tools.workspace.Workspace`."""
