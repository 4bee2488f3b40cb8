"""What is shipped is what stands in the tree, and the tree holds nothing of one machine."""

import re
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.tree import ROOMS, ROOT, tracked

SHIPPED_ROOMS = {*ROOMS, "web"}
SHIPPED_AT_ROOT = {"__init__.py", "lab.py", "py.typed"}
LOCKS = ("requirements.lock", "requirements-dev.lock")


def test_the_wheel_holds_the_rooms(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("codelab/") for name in archive.namelist() if ".dist-info/" not in name}
    on_disk = {name for name in tracked() if name.split("/")[0] in SHIPPED_ROOMS or name in SHIPPED_AT_ROOT}
    assert packed == on_disk


def requirements(text: str) -> dict[str, Version]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {canonical(name): Version(version) for name, version in pins}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: str) -> dict[str, Version]:
    return requirements((ROOT / lock).read_text("utf-8"))


def declared() -> tuple[list[Requirement], list[Requirement]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [Requirement(line) for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in project["dependencies"]], extras


def test_the_lock_files_fit_what_is_declared():
    base, extras = declared()
    service, everything = pinned(LOCKS[0]), pinned(LOCKS[1])
    for pins, wanted in ((service, base), (everything, [*base, *extras])):
        for requirement in wanted:
            assert canonical(requirement.name) in pins, requirement.name
            assert requirement.specifier.contains(pins[canonical(requirement.name)], prereleases=True), requirement


def test_the_service_runs_on_what_was_tested():
    everything = pinned(LOCKS[1])
    assert {name: version for name, version in pinned(LOCKS[0]).items() if everything.get(name) != version} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_files_name_no_host_and_hash_every_pin(lock):
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert not [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]


def test_the_tree_names_no_machine():
    folders = "work|farm|root|Users|home/[a-z]+"
    pattern = re.compile(rf"(?<![A-Za-z0-9_.])/(?:{folders})/")
    hosts = re.compile(r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs")
    found = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0]}" for match in (pattern.search(text), hosts.search(text)) if match]
    assert not found


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "AGENTS.md", ".ci/run"])
def test_pages_name_targets_that_exist(page):
    named = set(re.findall(r"(?:^|`|^step )make ([a-z0-9]+)\b", (ROOT / page).read_text("utf-8"), re.MULTILINE))
    assert {"test"} <= named <= make_targets()


def recipe(target: str) -> str:
    text = (ROOT / "Makefile").read_text("utf-8")
    return re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1]


def test_make_test_is_a_part_of_make_e2e():
    assert re.search(r"""pytest .*-m ["']not e2e["']""", recipe("test"))
    assert "pytest" in recipe("e2e")
    assert " -m " not in recipe("e2e")


def test_ci_runs_the_documented_commands():
    script = (ROOT / ".ci/run").read_text("utf-8")
    for command in ("make check", "make test", "make e2e"):
        assert re.search(rf"^\s*(?:step .*)?{command}\b", script, re.MULTILINE), command


def test_commit_checks_are_local():
    assert set(re.findall(r"repo: *(\S+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))) == {"local"}


def test_the_contributing_page_is_short():
    assert len((ROOT / "AGENTS.md").read_text("utf-8").splitlines()) <= 60
