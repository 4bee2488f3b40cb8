"""Facts are declared when somebody tells them."""

import ast

from tests.support.tree import ROOT, last_name, parse, sources


def declared() -> set[str]:
    classes = (n for n in ast.walk(parse(ROOT / "core" / "events.py")) if isinstance(n, ast.ClassDef))
    return {n.name for n in classes if any(last_name(base) == "DomainEvent" for base in n.bases)}


def test_every_domain_event_is_published_somewhere():
    made = {
        last_name(node.func)
        for path in sources()
        if path.name != "events.py"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
    }
    assert declared()
    assert declared() - made == set()
