"""The LangGraph Agent Server API: wire only."""
