"""The demo model: every order it knows, in both languages, turn after turn."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, Field

from codelab.llm.demo import DemoChatModel


def schema(name, required=(), /, **properties):
    words = {"s": {"type": "string"}, "b": {"type": "boolean"}, "i": {"type": "integer"}}
    found = {key: words.get(value, value) if isinstance(value, str) else value for key, value in properties.items()}
    parameters = {"type": "object", "properties": found, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


EDITS = {"type": "array", "items": {"type": "object", "properties": {key: {} for key in ("old", "new", "replace_all")}}}
QUESTIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"question": {}, "kind": {"enum": ["text", "single_choice"]}, "choices": {}},
    },
}
PATHS = {"type": "array", "items": {"type": "string"}}
TOOLS = {
    tool["function"]["name"]: tool
    for tool in (
        schema("list_files", path="s", recursive="b", limit="i"),
        schema("read_file", ["path"], path="s", offset="i"),
        schema("search_files", ["pattern"], pattern="s", path="s"),
        schema("write_file", ["path", "content"], path="s", content="s"),
        schema("edit_file", ["path", "edits"], path="s", edits=EDITS),
        schema("delete_file", ["path"], path="s"),
        schema("move_file", ["source", "target"], source="s", target="s"),
        schema("create_directory", ["path"], path="s"),
        schema("execute_command", ["command"], command="s", cwd="s"),
        schema("git_status"),
        schema("git_diff", staged="b"),
        schema("git_log", limit="i"),
        schema("git_branch", ["action"], action={"enum": ["list", "create", "switch", "delete"]}, name="s"),
        schema("git_commit", ["message", "paths"], message="s", paths=PATHS),
        schema("prompt_user", ["questions"], questions=QUESTIONS),
        schema("switch_agent", ["agent", "reason"], agent={"description": "One of: coder, debug, ask"}, reason="s"),
        schema("finish", ["result"], result="s"),
    )
}
TESTS = {"command": "python3 -m pytest -q"}


def edit(path, old, new, **more):
    return "edit_file", {"path": path, "edits": [{"old": old, "new": new, **more}]}


def asked(question, *choices):
    form = {"kind": "single_choice", "choices": list(choices)} if choices else {"kind": "text"}
    return "prompt_user", {"questions": [{"question": question, **form}]}


CASES = [
    ("list files", "list_files", {"path": ".", "recursive": False}),
    ("list all files in src", "list_files", {"path": "src", "recursive": True}),
    ("покажи файлы", "list_files", {"path": ".", "recursive": False}),
    ("перечисли все файлы в src", "list_files", {"path": "src", "recursive": True}),
    ("какие файлы есть в проекте?", "list_files", {"path": ".", "recursive": False}),
    ("read calc.py", "read_file", {"path": "calc.py"}),
    ("show me README.md.", "read_file", {"path": "README.md"}),
    ("прочитай файл src/calc.py", "read_file", {"path": "src/calc.py"}),
    ("покажи calc.py", "read_file", {"path": "calc.py"}),
    ("explain calc.py", "read_file", {"path": "calc.py"}),
    ("what does src/app.py do?", "read_file", {"path": "src/app.py"}),
    ("объясни calc.py", "read_file", {"path": "calc.py"}),
    ("что делает файл calc.py?", "read_file", {"path": "calc.py"}),
    ("search for TODO in src", "search_files", {"pattern": "TODO", "path": "src"}),
    ('find "def add"', "search_files", {"pattern": "def add"}),
    ("where is add defined?", "search_files", {"pattern": "add"}),
    ("найди TODO в src", "search_files", {"pattern": "TODO", "path": "src"}),
    ("где определена функция add?", "search_files", {"pattern": "add"}),
    ("create a file a.py with content \"print('hi')\"", "write_file", {"path": "a.py", "content": "print('hi')\n"}),
    ("create hello.txt containing hello world", "write_file", {"path": "hello.txt", "content": "hello world\n"}),
    ("create file a.py:\n```python\nx = 1\ny = 2\n```", "write_file", {"path": "a.py", "content": "x = 1\ny = 2\n"}),
    ("создай файл a.py с содержимым «x = 1»", "write_file", {"path": "a.py", "content": "x = 1\n"}),
    ("создай пустой файл notes.md", "write_file", {"path": "notes.md", "content": ""}),
    ('replace "a - b" with "a + b" in calc.py', *edit("calc.py", "a - b", "a + b")),
    ("in calc.py replace foo with bar", *edit("calc.py", "foo", "bar")),
    ('replace all "x" with "y" in calc.py', *edit("calc.py", "x", "y", replace_all=True)),
    ('замени "a - b" на "a + b" в файле calc.py', *edit("calc.py", "a - b", "a + b")),
    ("в calc.py замени все foo на bar", *edit("calc.py", "foo", "bar", replace_all=True)),
    ('append "# end" to calc.py', "read_file", {"path": "calc.py"}),
    ("добавь строку «x = 1» в конец файла calc.py", "read_file", {"path": "calc.py"}),
    ("delete old.py", "delete_file", {"path": "old.py"}),
    ("удали файл old.py", "delete_file", {"path": "old.py"}),
    ("rename a.py to b.py", "move_file", {"source": "a.py", "target": "b.py"}),
    ("переименуй a.py в b.py", "move_file", {"source": "a.py", "target": "b.py"}),
    ("create a directory docs", "create_directory", {"path": "docs"}),
    ("run the tests", "execute_command", TESTS),
    ('run "ls -la"', "execute_command", {"command": "ls -la"}),
    ("run the command `make test; echo done`", "execute_command", {"command": "make test; echo done"}),
    ("запусти тесты", "execute_command", TESTS),
    ("выполни команду «ls -la»", "execute_command", {"command": "ls -la"}),
    ("the tests fail, please fix", "execute_command", TESTS),
    ("почини падающий тест", "execute_command", TESTS),
    ("git status", "git_status", {}),
    ("что изменилось?", "git_status", {}),
    ("show the diff", "git_diff", {}),
    ("show staged changes", "git_diff", {"staged": True}),
    ("покажи изменения", "git_diff", {}),
    ("git log", "git_log", {"limit": 10}),
    ("покажи последние 3 коммита", "git_log", {"limit": 3}),
    ("list branches", "git_branch", {"action": "list"}),
    ("create branch fix/add", "git_branch", {"action": "create", "name": "fix/add"}),
    ("создай ветку fix/add", "git_branch", {"action": "create", "name": "fix/add"}),
    ("переключись на ветку main", "git_branch", {"action": "switch", "name": "main"}),
    ('commit with message "Fix add"', "git_commit", {"message": "Fix add", "paths": ["."]}),
    ("закоммить с сообщением «Исправлен add»", "git_commit", {"message": "Исправлен add", "paths": ["."]}),
    ("commit calc.py as: Fix", "git_commit", {"message": "Fix", "paths": ["calc.py"]}),
    ('commit everything "Last"', "git_commit", {"message": "Last", "paths": ["."]}),
    ('ask me "Which database?" (sqlite, postgres)', *asked("Which database?", "sqlite", "postgres")),
    ("спроси меня, как назвать файл", *asked("как назвать файл")),
    ("finish", "finish", {"result": "Finished at the person's request."}),
    ("заверши", "finish", {"result": "Finished at the person's request."}),
    (
        "switch to coder",
        "switch_agent",
        {"agent": "coder", "reason": "The request needs switch_agent: switch to coder"},
    ),
]


def demo(*names):
    model = DemoChatModel(tokens_per_s=0)
    tools = [TOOLS[name] for name in names or TOOLS]
    return model.bind_tools(tools) if tools else model


async def play(model, text, *results, history=()):
    """Run a turn: each answer's calls get the next result; returns the whole conversation."""
    conversation = [SystemMessage("You are a helper"), *history, HumanMessage(text)]
    for result in (*results, None):
        answer = await model.ainvoke(conversation)
        conversation.append(answer)
        if not answer.tool_calls:
            break
        assert result is not None, f"one call too many: {answer.tool_calls}"
        status = "error" if result.startswith("ERR") else "success"
        conversation += [ToolMessage(result, tool_call_id=c["id"], status=status) for c in answer.tool_calls]
    return conversation


def calls(conversation):
    return [(c["name"], c["args"]) for m in conversation if isinstance(m, AIMessage) for c in m.tool_calls]


@pytest.mark.parametrize(("text", "name", "args"), CASES, ids=[case[0][:40] for case in CASES])
async def test_an_order_becomes_a_call_and_ends_in_a_summary(text, name, args):
    first = await demo().ainvoke([HumanMessage(text)])
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [(name, args)]
    assert first.text.startswith(("Demo model", "Демо-модель"))
    done = await play(demo(), text, "1 | RESULT", "1 | RESULT")
    assert not done[-1].tool_calls
    assert len(calls(done)) <= 2
    russian = any("а" <= letter <= "я" for letter in text)
    assert done[-1].text.startswith("Демо-модель" if russian else "Demo model")


@pytest.mark.parametrize("text", ["hello", "привет", "please make the world better"])
async def test_what_it_does_not_understand_it_says(text):
    answer = await demo().ainvoke(text)
    assert not answer.tool_calls
    assert "CODELAB_LLM__BASE_URL" in answer.text


async def test_the_summary_is_taken_from_the_result():
    told = (await play(demo(), "run the tests", "exit code 1\n2 failed, 3 passed"))[-1]
    assert "2 failed, 3 passed" in told.text
    told = (await play(demo(), "fix the failing test", "1 failed"))[-1]
    assert "real model" in told.text
    told = (await play(demo(), "explain calc.py", "1 | import os\n2 | x = 1\n3 | def add(a, b):"))[-1]
    assert "`calc.py`: 3 lines" in told.text
    assert "def add(a, b):" in told.text
    assert "x = 1" not in told.text


async def test_orders_are_done_one_after_another_even_twice_the_same():
    text = 'read calc.py, then replace "a" with "b" in calc.py and read calc.py; commit with message "x"'
    done = await play(demo(), text, "1 | a", "ok", "1 | b", "committed")
    assert [name for name, _ in calls(done)] == ["read_file", "edit_file", "read_file", "git_commit"]
    assert calls(done)[-1][1] == {"message": "x", "paths": ["calc.py"]}
    assert "committed" in done[-1].text


async def test_a_commit_names_the_files_changed_since_the_last_one():
    before = await play(demo(), "create file a.py; commit; create file b.py", "ok", "committed", "ok")
    done = await play(demo(), "commit", "committed", history=before[1:])
    assert calls(done)[-1][1]["paths"] == ["b.py"]


async def test_a_new_message_starts_anew():
    before = await play(demo(), "git status", "clean")
    done = await play(demo(), "git status", "1 file changed", history=before[1:])
    assert len(calls(done)) == 2
    assert "1 file changed" in done[-1].text


@pytest.mark.parametrize("text", ['replace "a" with "b" in c.py; commit', "замени «a» на «b» в c.py; закоммить"])
@pytest.mark.parametrize(
    ("result", "word"), [("ERR the old text is not in the file", ""), ("ERR rejected: no", "reject")]
)
async def test_an_error_or_a_rejection_stops_it(text, result, word):
    done = await play(demo(), text, result)
    assert len(calls(done)) == 1
    assert result in done[-1].text
    assert bool(word) == ("rejected `" in done[-1].text or "отклонили" in done[-1].text)


async def test_a_file_that_is_not_there_is_looked_for_once():
    done = await play(demo(), "read calc.py", "ERR not found", "README.md\nsrc/calc.py\nsrc/", "1 | def add")
    assert calls(done)[-1] == ("read_file", {"path": "src/calc.py"})
    assert "def add" in done[-1].text
    done = await play(demo(), "read calc.py", "ERR not found", "a/calc.py\nb/calc.py")
    assert len(calls(done)) == 2


async def test_append_replaces_the_shortest_unique_tail():
    done = await play(demo(), 'append "end" to a.txt', "1 | x\n2 | }\n3 | y\n4 | }", "ok")
    assert calls(done)[-1] == edit("a.txt", "y\n}", "y\n}\nend")
    done = await play(demo(), 'append "end" to a.txt', "ERR not found: a.txt", "ok")
    assert calls(done)[-1] == ("write_file", {"path": "a.txt", "content": "end\n"})
    done = await play(demo(), 'append "end" to a.txt', "a.txt · 0 lines · abc\n(the file is empty)", "ok")
    assert calls(done)[-1] == ("write_file", {"path": "a.txt", "content": "end\n"})
    long = "a.txt · 900 lines · abc · showing 1-500\n    1 | x\n… 400 more lines: read on with offset=501"
    done = await play(demo(), 'append "end" to a.txt', long, "  899 | y\n  900 | z", "ok")
    assert [name for name, _ in calls(done)] == ["read_file", "read_file", "edit_file"]
    assert calls(done)[1][1] == {"path": "a.txt", "offset": 861}
    assert calls(done)[2] == edit("a.txt", "z", "z\nend")
    done = await play(demo(), 'append "end" to a.txt', "ERR this file is secret")
    assert len(calls(done)) == 1


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("run the tests", "debug"),
        ('replace "a" with "b" in c.py', "coder"),
        ("закоммить", "coder"),
        ("list files", "ask"),
    ],
)
async def test_a_missing_tool_hands_over_once(text, agent):
    model = demo("switch_agent", "finish")
    done = await play(model, text, f"Handed to {agent}", "Handed to coder")
    assert calls(done)[0][1]["agent"] == agent
    assert text in calls(done)[0][1]["reason"]
    assert not done[-1].tool_calls
    refused = await play(model, text, "ERR no hand-off: limit")
    assert len(calls(refused)) == 1
    assert "limit" in refused[-1].text


async def test_the_next_agent_goes_on_and_without_a_switch_it_says_so():
    handed = await play(demo("switch_agent"), "run the tests", "Handed to debug", "Handed to coder")
    conversation = handed[: next(i for i, m in enumerate(handed) if isinstance(m, ToolMessage)) + 1]
    answer = await demo().ainvoke(conversation)
    assert answer.tool_calls[0]["name"] == "execute_command"
    assert "execute_command" in (await demo("read_file").ainvoke("run the tests")).text


class RouteChoice(BaseModel):
    """Who takes it."""

    agent: str = Field(description="Name of the agent")
    confidence: float = Field(ge=0, le=1)
    reason: str


ROSTER = SystemMessage("Agents:\n- coder: c\n- architect: a\n- debug: d\n- ask: q\nCurrent agent: none.")


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("run the tests", "debug"),
        ("почему падает импорт", "debug"),
        ("rename a.py to b.py", "coder"),
        ("исправь опечатку в тексте", "coder"),
        ("design the storage layer", "architect"),
        ("спроектируй слой хранения", "architect"),
        ("explain calc.py", "ask"),
        ("зачем нужен этот модуль", "ask"),
        ("hello", "ask"),
    ],
)
async def test_routing(text, agent):
    model = DemoChatModel().with_structured_output(RouteChoice)
    choice = await model.ainvoke([ROSTER, HumanMessage(text)])
    assert choice.agent == agent
    assert (choice.confidence >= 0.5) == (text != "hello")


async def test_routing_keeps_the_current_agent_and_the_roster():
    model = DemoChatModel().with_structured_output(RouteChoice)
    staying = SystemMessage(ROSTER.text.replace("none", "architect"))
    assert (await model.ainvoke([staying, HumanMessage("hello")])).agent == "architect"
    small = SystemMessage("- coder: c\n- ask: q")
    assert (await model.ainvoke([small, HumanMessage("run the tests")])).agent == "coder"


async def test_other_shapes_are_filled_by_type():
    class Title(BaseModel):
        """A title."""

        title: str
        tags: list[str]
        count: int
        final: bool

    found = await DemoChatModel().with_structured_output(Title).ainvoke("the words")
    assert found == Title(title="the words", tags=[], count=0, final=False)


async def test_a_summary_request_is_shortened_honestly():
    text = "Summarise this conversation\n" + "replace x with y in a.py\n" * 200
    answer = await DemoChatModel(tokens_per_s=0).ainvoke(text)
    assert not answer.tool_calls
    assert len(answer.text) < 1700


async def test_it_streams_at_its_rate_with_usage_and_the_same_ids():
    model = demo()
    chunks = [chunk async for chunk in model.astream("list files")]
    whole = await model.ainvoke("list files")
    assert len(chunks) > 8
    assert {chunk.id for chunk in chunks} == {whole.id}
    assert chunks[-1].usage_metadata == whole.usage_metadata
    assert whole.usage_metadata["input_tokens"] > 100
