"""The API's operations: moto's request handlers on our backend, each one called by its name.

Replaced methods of moto's, each with its reason:

* ``_get_param``, ``parameters``, ``_get_action``: moto also reads the body as a query string and
  takes the first parameter that it finds; a password with ``&Username=`` in it is another's.
* ``backend`` and ``_get_region_agnostic_backend``: moto looks through a registry of the process.
* ``confirm_sign_up``, ``forgot_password``, ``confirm_forgot_password``, ``change_password``:
  moto drops the code, tells it in a header, or goes by that registry.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from moto.cognitoidp.exceptions import InvalidParameterException, NotAuthorizedError
from moto.cognitoidp.responses import CognitoIdpResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, get_service_model

from app.local.cognito.shapes import faults
from app.local.cognito.signin import Backend

_MODEL = get_service_model("cognito-idp")


class Operations(CognitoIdpResponse):
    """One request."""

    def __init__(self, backend: Backend, operation: str, params: dict[str, Any]) -> None:
        super().__init__()
        self._backend = backend
        self._operation = operation
        self._given = params
        self.headers = {"Content-Type": "application/x-amz-json-1.1"}
        self.response_headers = {}

    def answer(self) -> dict[str, Any]:
        """Run the operation.

        Raises:
            JsonRESTError: its refusal.
        """
        method = getattr(type(self), camelcase_to_underscores(self._operation), None)
        if self._operation not in _MODEL.operation_names or not callable(method):
            raise JsonRESTError(
                "UnknownOperationException", "The local user pool does not have this operation"
            )
        shape = _MODEL.operation_model(self._operation).input_shape
        wrong = list(faults(shape, self._given))
        if wrong:
            many = "error" if len(wrong) == 1 else "errors"
            message = f"{len(wrong)} validation {many} detected: {'; '.join(wrong)}"
            raise InvalidParameterException(message)
        if "AccessToken" in self._given:
            self._backend.by_access_token(self._given["AccessToken"])
        result = method(self) or EmptyResult()
        _, _, body = self.serialized(result)
        answer: dict[str, Any] = json.loads(body or "{}")
        return answer

    def _get_param(self, param_name: str, if_none: Any = None) -> Any:
        value = self._given.get(param_name)
        return if_none if value is None else value

    def _get_action(self) -> str:
        return self._operation

    @property
    def parameters(self) -> dict[str, Any]:
        """The request's parameters; moto takes some out."""
        return copy.deepcopy(self._given)

    @property
    def backend(self) -> Backend:
        """Our backend."""
        return self._backend

    def _get_region_agnostic_backend(self) -> Any:
        return self._backend

    def confirm_sign_up(self) -> ActionResult:
        """Confirm a sign-up by the code."""
        self.backend.confirm_with_code(
            self._get_param("ClientId"),
            self._get_param("Username"),
            self._get_param("ConfirmationCode"),
        )
        return EmptyResult()

    def resend_confirmation_code(self) -> ActionResult:
        """Send another code; moto does not have it."""
        return ActionResult(
            self.backend.resend_code(self._get_param("ClientId"), self._get_param("Username"))
        )

    def forgot_password(self) -> ActionResult:
        """Send a code for a new password."""
        _, answer = self.backend.forgot_password(
            self._get_param("ClientId"), self._get_param("Username")
        )
        return ActionResult(answer)

    def confirm_forgot_password(self) -> ActionResult:
        """Set a new password by the code."""
        self.backend.confirm_forgot_password(
            self._get_param("ClientId"),
            self._get_param("Username"),
            self._get_param("Password"),
            self._get_param("ConfirmationCode"),
        )
        return EmptyResult()

    def change_password(self) -> ActionResult:
        """Change the password of who is signed in."""
        self.backend.change_password(
            self._get_param("AccessToken"),
            self._get_param("PreviousPassword", ""),
            self._get_param("ProposedPassword"),
        )
        return EmptyResult()

    def delete_user(self) -> ActionResult:
        """Delete who is signed in; moto does not have it."""
        pool, user = self.backend.by_access_token(self._get_param("AccessToken"))
        self.backend.admin_delete_user(pool.id, user.username)
        return EmptyResult()

    def delete_user_attributes(self) -> ActionResult:
        """Delete attributes of who is signed in; moto does not have it."""
        pool, user = self.backend.by_access_token(self._get_param("AccessToken"))
        names = self._get_param("UserAttributeNames")
        self.backend.admin_delete_user_attributes(pool.id, user.username, names)
        return EmptyResult()

    def get_user_attribute_verification_code(self) -> ActionResult:
        """Send a code to a changed address; moto does not have it."""
        pool, user = self.backend.by_access_token(self._get_param("AccessToken"))
        self._only_email()
        if "email" not in user.attribute_lookup:
            raise InvalidParameterException("User has no email")
        self.backend.send_code(pool, user, "email")
        return ActionResult({"CodeDeliveryDetails": self.backend.delivery(user)})

    def verify_user_attribute(self) -> ActionResult:
        """Verify a changed address by the code; moto does not have it."""
        self._only_email()
        self.backend.verify_email(self._get_param("AccessToken"), self._get_param("Code"))
        return EmptyResult()

    def revoke_token(self) -> ActionResult:
        """End a sign-in; moto does not have it."""
        client_id = self._get_param("ClientId")
        _, client = self.backend.client(client_id)
        if client.generate_secret and self._get_param("ClientSecret") != client.secret:
            raise NotAuthorizedError("Client secret does not match")
        self.backend.revoke(client_id, self._get_param("Token"))
        return EmptyResult()

    def _only_email(self) -> None:
        if self._get_param("AttributeName") != "email":
            raise InvalidParameterException("Only an email can be verified here")
