"""The rights that MLflow's own permissions cannot express: who may change which model is in use.

`mlflow/basic_auth.ini` names `authorize`, and the server calls it for each request. In MLflow, one
permission (EDIT) allows both to register a version and to move an alias; everyone may create
experiments and models, and who creates a model may do everything with it.
"""

import logging

from flask import Request, Response, request
from mlflow.protos.model_registry_pb2 import DeleteModelVersionTag, SetModelVersionTag
from mlflow.server import auth
from mlflow.server.handlers import _get_request_message

from tasks.registry.members import MemberRole
from tasks.registry.model_versions import BUNDLE_TAG

ROUTES = {  # what a request other than GET needs, by its path behind /mlflow/
    "experiments/create": {MemberRole.TRAIN, MemberRole.PROMOTE},
    "registered-models/create": {MemberRole.TRAIN, MemberRole.PROMOTE},
    "registered-models/alias": {MemberRole.PROMOTE},
    "registered-models/rename": {MemberRole.PROMOTE},
    "registered-models/delete": {MemberRole.PROMOTE},
    "model-versions/delete": {MemberRole.PROMOTE},
}
TAGS = {
    "model-versions/set-tag": SetModelVersionTag,
    "model-versions/delete-tag": DeleteModelVersionTag,
}

logger = logging.getLogger(__name__)


def authorize() -> auth.Authorization | Response:
    """Return the login of the request, or the answer 401 or 403; a refusal is logged by name."""
    login = auth.authenticate_request_basic_auth()
    if isinstance(login, Response):
        if request.authorization is not None:
            logger.warning("Wrong login: %r", request.authorization.username)
        return login
    needed = _needed(request)
    user = auth.store.get_user(str(login.username)) if needed else None
    if user is None or user.is_admin:
        return login
    held = {role.name for role in auth.store.list_user_roles(user.id)}
    if held & needed:
        return login
    logger.warning("%r may not %s %s", login.username, request.method, request.path)
    return auth.make_forbidden_response()


def _needed(asked: Request) -> set[MemberRole]:
    """Return the roles of which one is needed; none where MLflow's permissions suffice."""
    if asked.method == "GET":
        return set()
    end = asked.path.rpartition("/mlflow/")[2]
    # Else the bundle of the model in use could be replaced, and its registered hash with it.
    if (tag := TAGS.get(end)) and _get_request_message(tag()).key == BUNDLE_TAG:
        return {MemberRole.PROMOTE}
    return ROUTES.get(end, set())
