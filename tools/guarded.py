"""Names of files that are secret (never read, never written) or protected (writing them always asks).

Matching is deaf to case, to Unicode spelling and to look-alike letters, so that no other way to write a name dodges it.
"""

from __future__ import annotations

import re
import unicodedata


def names(text: str) -> frozenset[str]:
    """Make a set of the words of a text, so that tables stay readable."""
    return frozenset(text.split())


LOOK_ALIKES = str.maketrans("аеорсухіјѕԁԛһӏαερονιτκı", "aeopcyxijsdqhlaepovitki")

_OPEN_ENV = re.compile(r"\.env\.(example|sample|template|dist)")
_SECRET_NAMES = re.compile(
    r"\.env.*|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk)|id_(rsa|dsa|ecdsa|ed25519).*|[._]netrc|\.npmrc|\.yarnrc\.yml"
    r"|\.pypirc|\.git-credentials|\.pgpass|\.htpasswd|\.dockercfg|\.vault-token"
)
_SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".azure", ".kube"})
_SECRET_PATHS = re.compile(
    r"(.*/)?(\.git/(.*/)?config(\.worktree|\.lock)?|\.docker/config\.json|\.config/(gh|gcloud)/.*|etc/g?shadow-?"
    r"|proc/[^/]+/environ)"
)

_PROTECTED_FOLDERS = names(
    ".git .husky .githooks .github .ci .circleci .buildkite .gitlab .cursor .claude .codelab .roo .clinerules "
    ".windsurf .continue .codex .gemini .vscode .idea .devcontainer .zed .fleet git~1"
)
_PROTECTED_NAMES = re.compile(
    # git and continuous integration
    r"\.git|\.gitattributes|\.gitmodules|\.pre-commit-config\.ya?ml|\.gitlab-ci\.ya?ml|\.travis\.yml|\.drone\.ya?ml"
    r"|jenkinsfile|azure-pipelines\.ya?ml|bitbucket-pipelines\.yml|appveyor\.yml"
    # agents and editors
    r"|agents\.md|claude\.md|gemini\.md|\.cursor.*|\.roo.*|\.clinerules.*|\.windsurf.*|\.aider.*|\.mcp\.json"
    r"|copilot-instructions\.md|.*\.code-workspace|\.devcontainer.*|\.editorconfig|\.nvimrc|\.exrc"
    # what a package manager or a build runs or installs
    r"|package(-lock)?\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-(lock|workspace)\.yaml|bun\.lockb?|deno\.jsonc?"
    r"|pyproject\.toml|setup\.(py|cfg)|requirements.*\.(txt|in|lock)|constraints.*\.txt|pipfile|tox\.ini|noxfile\.py"
    r"|.*\.lock|.*\.pth|sitecustomize\.py|usercustomize\.py|(gnu)?makefile|.*\.mk|justfile|taskfile\.ya?ml"
    r"|cargo\.toml|build\.rs|go\.(mod|sum|work)|gemfile|rakefile|.*\.gemspec|composer\.json|pom\.xml|mvnw|gradlew"
    r"|(build|settings)\.gradle(\.kts)?|cmakelists\.txt|dockerfile.*|(docker-)?compose.*\.ya?ml|package\.swift"
)


def folded(path: str) -> str:
    """Bring a path to the one spelling that names are compared in."""
    text = unicodedata.normalize("NFKD", path).casefold().translate(LOOK_ALIKES)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Mn"))
    parts = [part.rstrip(". ") or part for part in text.replace("\\", "/").split("/")]
    return "/".join(part for part in parts if part not in ("", "."))


def is_secret(path: str) -> bool:
    """Whether a path names a file that agents neither read nor write, as written or by a look-alike."""
    text = folded(path)
    parts = text.split("/")
    if _SECRET_FOLDERS.intersection(parts) or _SECRET_PATHS.fullmatch(text):
        return True
    return any(_SECRET_NAMES.fullmatch(part) and not _OPEN_ENV.fullmatch(part) for part in parts)


def is_protected(path: str) -> bool:
    """Whether writing a path asks even in mode auto; a look-alike of a protected name counts."""
    parts = folded(path).split("/")
    return bool(_PROTECTED_FOLDERS.intersection(parts)) or any(_PROTECTED_NAMES.fullmatch(part) for part in parts)
