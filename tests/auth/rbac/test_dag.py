"""Roles and their parents: what flattening gives, and where a cycle would close."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from codelab.auth.rbac.dag import RoleNode, closes_cycle, flatten
from codelab.core.permissions import ALL, BUILT_IN

NAMES = sorted(ALL)


def node(*permissions: str, parents=()) -> RoleNode:
    return RoleNode(permissions=frozenset(permissions), parents=frozenset(parents))


def roles_over(names: list[str]) -> st.SearchStrategy[dict[str, RoleNode]]:
    """Any graph, cycles and parents that are not there included."""
    some = st.frozensets(st.sampled_from([*NAMES, "no:such"]), max_size=4)
    above = st.frozensets(st.sampled_from([*names, "gone"]), max_size=4)
    return st.fixed_dictionaries({name: st.builds(RoleNode, permissions=some, parents=above) for name in names})


graphs = st.integers(1, 8).flatmap(lambda size: roles_over([f"r{n}" for n in range(size)]))


def acyclic(roles: dict[str, RoleNode]) -> dict[str, RoleNode]:
    """Give the roles their parents one by one, as the service does: one that would close a cycle is left out."""
    built = {name: RoleNode(permissions=role.permissions) for name, role in roles.items()}
    for name, role in roles.items():
        for parent in sorted(role.parents & roles.keys()):
            if not closes_cycle(built, name, [parent]):
                built[name] = RoleNode(permissions=role.permissions, parents=built[name].parents | {parent})
    return built


def is_cyclic(roles: dict[str, RoleNode]) -> bool:
    try:
        TopologicalSorter({name: role.parents for name, role in roles.items()}).prepare()
    except CycleError:
        return True
    return False


@given(graphs)
def test_flattening_ends_and_gives_known_permissions_only(roles: dict[str, RoleNode]) -> None:
    for name, role in roles.items():
        found = flatten(roles, [name])
        assert found <= ALL
        assert role.permissions & ALL <= found


@given(graphs)
def test_a_role_has_all_that_its_parents_have(roles: dict[str, RoleNode]) -> None:
    for name, role in roles.items():
        assert flatten(roles, [name]) == (role.permissions & ALL).union(*(flatten(roles, [p]) for p in role.parents))


@given(graphs)
def test_many_roles_give_what_they_give_one_by_one(roles: dict[str, RoleNode]) -> None:
    assert flatten(roles, roles) == frozenset().union(*(flatten(roles, [name]) for name in roles))


@given(graphs)
def test_no_cycle_ever_closes_where_each_parent_was_asked_for(roles: dict[str, RoleNode]) -> None:
    built = acyclic(roles)
    assert not is_cyclic(built)


@given(graphs)
def test_a_cycle_is_seen_exactly_where_one_would_close(roles: dict[str, RoleNode]) -> None:
    built = acyclic(roles)
    for name, role in built.items():
        for parent in built:
            more = built | {name: RoleNode(permissions=role.permissions, parents=role.parents | {parent})}
            assert closes_cycle(built, name, [parent]) == is_cyclic(more)


def test_a_cycle_closes_over_the_role_itself_and_over_many() -> None:  # attack 34
    chain = {"a": node(), "b": node(parents="a"), "c": node(parents="b")}
    assert closes_cycle(chain, "a", ["a"])
    assert closes_cycle(chain, "a", ["c"])
    assert not closes_cycle(chain, "c", ["a", "b"])


def test_a_chain_of_any_depth_resolves() -> None:  # attack 34
    depth = 5000
    roles = {str(n): node(NAMES[n % len(NAMES)], parents=[str(n + 1)]) for n in range(depth)}
    roles[str(depth)] = node("audit:read")
    assert flatten(roles, ["0"]) == ALL
    assert flatten(roles, [str(depth)]) == {"audit:read"}


def test_an_unknown_permission_and_an_unknown_role_grant_nothing() -> None:  # attack 34
    roles = {"a": node("everything", "*", "runs:*", "threads:read", parents=["gone"])}
    assert flatten(roles, ["a", "gone"]) == {"threads:read"}


def test_the_built_in_roles_say_what_they_should() -> None:
    roles = {name: RoleNode(permissions=own, parents=frozenset(above)) for name, (own, above) in BUILT_IN.items()}
    assert flatten(roles, ["admin"]) == ALL
    assert not {p for p in flatten(roles, ["viewer"]) if p.endswith((":write", ":admin"))} - {"account:write"}
    assert not flatten(roles, ["member"]) & {"users:admin", "roles:admin", "clients:admin", "audit:read", "llm:admin"}
