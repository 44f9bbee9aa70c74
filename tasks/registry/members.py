"""Members of a team: who may read, train and promote on its MLflow server, by MLflow's own roles.

What a role may do beyond MLflow's permissions is in `flows/services/mlflow_rights.py`.
"""

import secrets
from enum import StrEnum
from typing import Any

from pneumo_core.errors import PromotionError
from tasks.tracking import connection


class MemberRole(StrEnum):
    READ = "read"
    TRAIN = "train"
    PROMOTE = "promote"


PERMISSIONS = {MemberRole.READ: "READ", MemberRole.TRAIN: "EDIT", MemberRole.PROMOTE: "EDIT"}
KINDS = {"experiment", "registered_model"}  # what the permissions are for
WORKSPACE = "default"  # of a server without workspaces
USERS, ROLES = "/api/2.0/mlflow/users", "/api/3.0/mlflow/roles"
ROLES_OF_USER = "/api/3.0/mlflow/users/roles/list"


def set_role(name: str, role: MemberRole) -> str | None:
    """Give a member this role and no other; a new member is made.

    Returns:
        The password of a new member; None for one who has a password.

    Raises:
        PromotionError: the registry has no members, or the login may not change them.
    """
    from mlflow import MlflowException

    _require_members()
    try:
        role_id = _role_id(role)
        password = _add(name)
        held = {each["name"]: each["id"] for each in _roles(name)}
        for other in held.keys() & PERMISSIONS.keys() - {role}:
            _ask(f"{ROLES}/unassign", "DELETE", username=name, role_id=held[other])
        if role not in held:
            _ask(f"{ROLES}/assign", "POST", username=name, role_id=role_id)
    except MlflowException as error:
        raise PromotionError(f"{name} does not get the role {role}: {error}") from error
    return password


def new_password(name: str) -> str:
    """Give a login another password, and return it; to one's own, or as an administrator.

    Raises:
        PromotionError: the registry has no members or not this one, or the login may not do it.
    """
    from mlflow import MlflowException
    from mlflow.utils.credentials import get_default_host_creds

    _require_members()
    changed = {"username": name, "password": secrets.token_urlsafe(32)}
    if name == _login()["username"]:
        changed["current_password"] = get_default_host_creds(connection.uri()).password
    try:
        if _ask(f"{USERS}/get", username=name) is None:
            raise PromotionError(f"There is no login {name}: make one with --role.")
        _ask(f"{USERS}/update-password", "PATCH", **changed)
    except MlflowException as error:
        raise PromotionError(f"{name} gets no other password: {error}") from error
    return changed["password"]


def missing_right() -> str | None:
    """Return the login and its role if it may not move an alias; None if it may.

    A server without logins, and a database in a file, let everyone who reaches them move an alias.

    Raises:
        MlflowException: the server does not answer, or not to this login.
    """
    login = _login()
    if login is None or login["is_admin"]:
        return None
    name = login["username"]
    roles = {role["name"] for role in _roles(name)} & {*MemberRole}
    if MemberRole.PROMOTE in roles:
        return None
    return f"{name} has {f'the role {min(roles)}' if roles else 'no role'}"


def _require_members() -> None:
    if _login() is None:
        raise PromotionError(
            f"{connection.shown_uri()} has no members: set MLFLOW_TRACKING_URI to the MLflow "
            "server of your team."
        )


def _login() -> Any:
    """Return the user that this process is for the server; None where there are no users."""
    if not connection.uri().startswith("http"):
        return None
    answer = _ask(f"{USERS}/current")
    return answer and answer["user"]


def _roles(name: str) -> Any:
    return _ask(ROLES_OF_USER, username=name)["roles"]


def _role_id(role: MemberRole) -> int:
    """Return the id of a role of the server, made with its permissions if it is missing."""
    known = {each["name"]: each for each in _ask(f"{ROLES}/list", workspace=WORKSPACE)["roles"]}
    found = known.get(role)
    if found is None:
        found = _ask(f"{ROLES}/create", "POST", name=role, workspace=WORKSPACE)["role"]
    role_id = int(found["id"])
    granted = {each["resource_type"] for each in found["permissions"]}
    for kind in KINDS - granted:
        grant = {"resource_type": kind, "resource_pattern": "*", "permission": PERMISSIONS[role]}
        _ask(f"{ROLES}/permissions/add", "POST", role_id=role_id, **grant)
    return role_id


def _add(name: str) -> str | None:
    """Return the password of a user who was made; None for one who was there."""
    known = _ask(f"{USERS}/get", username=name)
    if known is None:
        password = secrets.token_urlsafe(32)
        _ask(f"{USERS}/create", "POST", username=name, password=password)
        return password
    if known["user"]["is_admin"]:
        raise PromotionError(f"{name} is an administrator, who may do everything.")
    return None


def _ask(endpoint: str, method: str = "GET", **fields: Any) -> Any:
    """Return the server's answer; None for what it does not have."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    sent = {"params" if method == "GET" else "json": fields}
    answer = http_request(get_default_host_creds(connection.uri()), endpoint, method, **sent)
    if answer.status_code == 404:
        return None
    found = verify_rest_response(answer, endpoint)
    return found.json() if found.content else None
