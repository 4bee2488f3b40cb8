"""Who may come in, and the layers around an application."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import FastAPI

from ..auth.anonymous import Anonymous
from ..auth.door import OAuthAuth
from ..auth.issuer import issuer_of
from ..auth.local import LocalAuth, read_or_make_token
from ..auth.seams import Authenticator
from ..core.errors import ConfigError
from ..core.settings import Settings
from .cors import cross_origin, rules_for
from .credential import Credential, entrance_for
from .middleware import LOOPBACK, Correlate, Guard
from .openai_api.app import OpenAIApi
from .openai_api.serving import Serving


def hosts_of(settings: Settings) -> frozenset[str]:
    """Name the hosts that requests may name."""
    own = {settings.server.host.lower(), (urlsplit(settings.server.public_url or "").hostname or "").lower()}
    return LOOPBACK | frozenset(own - {""})


def authenticator(settings: Settings) -> Authenticator:
    """Make the authenticator that the settings name.

    Raises:
        ConfigError: Anonymous mode would listen beyond this machine, or as `local_auth` and `issuer_of`.
    """
    if settings.auth.mode == "oauth":
        own = issuer_of(settings)
        return OAuthAuth(own) if settings.auth.issuer is None else _of_issuer(settings.auth.issuer, own)
    if settings.auth.mode != "anonymous":
        return local_auth(settings)
    if settings.server.host not in LOOPBACK:
        raise ConfigError("Anonymous mode serves this machine only: set SERVER__HOST to 127.0.0.1.")
    return Anonymous()


def _of_issuer(issuer: str, own: str) -> Authenticator:
    from ..auth.resource import ResourceAuth  # noqa: PLC0415 - brings what checks tokens, which local mode has none of

    return ResourceAuth(issuer.rstrip("/"), audience=own)


def local_auth(settings: Settings) -> LocalAuth:
    """Local mode's authenticator: the token set, else the machine's own.

    Raises:
        ConfigError: Another mode is set, or the server would listen beyond this machine.
    """
    if settings.auth.mode != "local":
        raise ConfigError(f"AUTH__MODE={settings.auth.mode} knows no machine's own token.")
    if settings.server.host not in LOOPBACK:
        raise ConfigError("Local mode serves this machine only: set SERVER__HOST to 127.0.0.1.")
    token = settings.server.token
    return LocalAuth(token.get_secret_value() if token else read_or_make_token(settings.data_dir))


def surround(app: FastAPI, settings: Settings, auth: Authenticator, serving: Callable[[], Serving] | None) -> None:
    """Put the layers around an app.

    Args:
        app: Gets them.
        settings: Name hosts and origins.
        auth: Who may come in.
        serving: What `/v1` serves, once the app has started; None: there is no `/v1`.
    """
    origins = settings.server.cors_origins
    app.add_middleware(Credential, auth=auth, origins=origins, entrance=entrance_for(auth))  # innermost first
    app.add_middleware(Correlate)
    if origins:
        app.add_middleware(cross_origin, **rules_for(origins))
    app.add_middleware(Guard, hosts=hosts_of(settings))
    if serving is not None:
        app.add_middleware(OpenAIApi, auth=auth, hosts=hosts_of(settings), serving=serving)
