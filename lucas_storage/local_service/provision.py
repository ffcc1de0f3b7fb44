"""Provides what a script needs: a storage server with its keys, and an engine for workflows.

``lucas-storage run`` does this for the script that it runs, and `lucas_storage.local` for the program that calls it.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from actorc.addresses import parse
from actorc.storage import settings_file
from actorc.storage.client_settings import KEY_ENDPOINT
from actorc.storage.local_server import local_endpoint
from actorc.storage.setting_lookup import BUILT_IN, Setting
from lucas_storage import settings

from .notes import note
from .service import LocalService
from .variables import Variables


def provide_storage(
    variables: Variables, data: Path | None, port: int | None = None, profile: str | None = None
) -> LocalService | None:
    """Set the environment so that this process and its children find a server and, for a local one, its keys.

    Args:
        variables: Gets what is set; the caller restores it, also after an error.
        data: Data directory of the server. None: the server that the settings name, else that of the nearest
            ``.lucas-storage``.
        port: The port of a server that is started here, if nobody has it, else a line says so; 0 for any. None: that
            of the settings, or any without a word.
        profile: Name of a profile in the settings file, which wins over variables that are set.

    Returns:
        The local server, which runs until it is closed; None if the settings name a server.
    """
    if profile is not None:
        _set_profile(variables, profile)
    chosen = _chosen_endpoint() if data is None else None
    if chosen is not None:
        variables.set("STORAGE_ENDPOINT", chosen.value)
        return None
    service = LocalService(data, port=settings.resolve().run_port.value if port is None else port)
    try:
        _set_variables(variables, service, _endpoint_names(service, port))
    except BaseException:
        service.close()
        raise
    return service


def _set_profile(variables: Variables, profile: str) -> None:
    variables.set(settings_file.PROFILE.variable, profile)
    # A variable would win over a profile that a variable names.
    for variable in settings.variables_of(profile):
        variables.unset(variable)


def _set_variables(variables: Variables, service: LocalService, names: tuple[str, ...]) -> None:
    if service.caution:
        note(service.caution)
    variables.set("STORAGE_ENDPOINT", service.endpoint)
    _set_keys(variables, service, names)
    present = settings.resolve()
    if not present.signing_key.value or (present.local and present.signing_key.origin == present.local.origin):
        variables.set("LUCAS_STORAGE_SIGNING_KEY_FILE", str(service.signing_key_file))


def _chosen_endpoint() -> Setting[str] | None:
    """Return the endpoint that the user chose; None if a local server must be found or started."""
    present = settings.resolve()
    endpoint = present.endpoint()
    is_found = present.local is not None and endpoint.origin == present.local.origin
    return None if is_found or endpoint.origin == BUILT_IN else endpoint


def _endpoint_names(service: LocalService, port: int | None) -> tuple[str, ...]:
    """Return each way in which a script may write the endpoint; say if ``localhost`` at `port` is another server."""
    present = parse(service.endpoint).port
    if port and port != present and local_endpoint.is_taken(port):
        note(
            f"another program listens on localhost:{port}, so the server of {service.data} is at {service.endpoint}; a "
            f"script that names localhost:{port} reaches the other one, so leave the endpoint out, or end that program"
        )
    is_localhost = local_endpoint.is_localhost(service.endpoint, present)
    return (service.endpoint, f"localhost:{present}") if is_localhost else (service.endpoint,)


def _set_keys(variables: Variables, service: LocalService, names: tuple[str, ...]) -> None:
    """Set the keys of a server in the environment, which other users cannot read, for that server's endpoint only."""
    if service.access_key is None or service.secret_key is None:
        return
    if os.environ.get("STORAGE_ACCESS_KEY") not in {None, "", service.access_key}:
        note(
            f"STORAGE_ACCESS_KEY is the key of the server in {service.data} from here on; pass keys for other servers "
            "as arguments"
        )
    variables.set("STORAGE_ACCESS_KEY", service.access_key)
    variables.set("STORAGE_SECRET_KEY", service.secret_key)
    # The keys are for this server only: a client of another endpoint in the script must not send them there.
    variables.set(KEY_ENDPOINT, " ".join(names))


def provide_lucas() -> bool:
    """Let `lucas` be imported: genuine Lucas if it is installed, else the embedded engine; return whether it is that.

    Raises:
        ImportError: Another project called lucas has already been imported.
    """
    from lucas_storage import embedded  # noqa: PLC0415  # the engine is of no use to most programs that import this

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_embedded = embedded.install()
    for warning in caught:
        note(str(warning.message))
    return is_embedded
