"""Workspaces: requests and answers."""

from typing import Annotated, Literal

from pydantic import Field

from enrollment.resources.bodies import Request, Response
from enrollment.resources.fields import KnownUuid


class GetWorkspaceRequest(Request):
    """The parameters of ``/workspaces/get``: none."""


class ListWorkspacesRequest(Request):
    """The parameters of ``/workspaces/list``: none."""


class ConnectWebviewCustomization(Response):
    """How Connect Webviews look: this service has none, so nothing is set."""


class Workspace(Response):
    """A workspace: a closed area for data.  For a token, nothing outside of its workspaces exists."""

    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace.")]
    name: Annotated[str, Field(description="Name of the workspace.")]
    company_name: Annotated[str, Field(description="The same as `name`.", json_schema_extra={"deprecated": True})]
    is_sandbox: Annotated[bool, Field(description="Whether it is for trying things out.")]
    connect_partner_name: Annotated[str | None, Field(description="Always `null`.")] = None
    connect_webview_customization: Annotated[
        ConnectWebviewCustomization, Field(description="Always empty: this service has no Connect Webviews.")
    ] = ConnectWebviewCustomization()
    is_publishable_key_auth_enabled: Annotated[
        Literal[False], Field(description="Always `false`: this service has no publishable keys.")
    ] = False
    is_suspended: Annotated[Literal[False], Field(description="Always `false`.")] = False
    organization_id: Annotated[
        str | None, Field(description="Always `null`.", json_schema_extra={"format": "uuid"})
    ] = None


class WorkspaceResponse(Response):
    """An answer with one workspace."""

    workspace: Workspace
    ok: Literal[True] = True


class WorkspacesResponse(Response):
    """An answer with workspaces."""

    workspaces: list[Workspace]
    ok: Literal[True] = True
