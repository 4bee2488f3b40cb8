"""Give a task from your own program and decide every call in code.

python examples/library_run.py DIR
"""

import asyncio
import sys

from codelab import CodeLab


def decide(interrupt: dict) -> str | dict:
    """Let Markdown files be written; refuse everything else with a word of advice."""
    call = interrupt["metadata"]
    print(f"\n[{call['agent']} asks for {call['tool']}, risk {call['risk']}]\n{call['preview'].get('diff', '')}")
    if call["tool"] == "write_file" and call["arguments"]["path"].endswith(".md"):
        return "approve"
    return {"decision": "reject", "message": "Write a Markdown file instead."}


async def main(folder: str) -> None:
    """Run one task, print what is said, then the diff of the whole task."""
    async with CodeLab(folder) as lab:
        thread_id = ""
        async for event in lab.run("create NOTES.md with first", approve=decide):
            thread_id = event.get("threadId", thread_id)
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                print(event["delta"], end="", flush=True)
        print((await lab.threads.changes(thread_id))["diff"])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
