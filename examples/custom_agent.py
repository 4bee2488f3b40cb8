"""An agent of your own is a Markdown file: front matter grants tools, the rest is the prompt.

python examples/custom_agent.py DIR
"""

import asyncio
import sys
from pathlib import Path

from codelab import CodeLab
from codelab.agents.spec import load_agents

OWN = Path(__file__).with_name("agents")


async def main(folder: str) -> None:
    """Ask the reviewer of `agents/reviewer.md`, beside the built-in agents."""
    async with CodeLab(folder, agents=load_agents() | load_agents(OWN)) as lab:
        print("Agents:", *(agent["name"] for agent in await lab.agents()))
        async for event in lab.run("list files", agent="reviewer", approve="deny"):
            if event["type"] == "STEP_STARTED":
                print("At work:", event["stepName"])
            elif event["type"] == "TEXT_MESSAGE_CONTENT":
                print(event["delta"], end="", flush=True)
    print()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
