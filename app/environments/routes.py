"""/api/v1/projects/{slug}/environments and …/waivers"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response, status

from app.body_limit import TooManyBodies
from app.conventions import OF_A_BODY, IfMatch, VersionOutdated, etag_of
from app.environments import decisions, deployments, service, snapshots, waivers
from app.environments.access import environment_for
from app.environments.drift import read_drift
from app.environments.errors import (
    DecisionNotFound,
    DeploymentDiffers,
    DeploymentEnded,
    EnvironmentForbidden,
    EnvironmentNotFound,
    SnapshotNotFound,
    SnapshotRefused,
    VersionUnknown,
    WaiverNotFound,
)
from app.environments.models import Environment
from app.environments.schemas import (
    DecisionCreate,
    DecisionRead,
    DecisionSummary,
    DeploymentId,
    DeploymentPut,
    DeploymentRead,
    DriftRead,
    EnvironmentRead,
    Policy,
    SnapshotRead,
    WaiverCreate,
    WaiverRead,
)
from app.environments.snapshots import PostedSnapshot, read_snapshot
from app.errors import documented
from app.large_answers import LargeAnswer, Sending
from app.pagination import Cursor, InvalidCursor, Limit, Page, RequestPaging
from app.projects.access import Caller, project_for
from app.projects.errors import ProjectArchived, ProjectNotFound, ScopeMissing
from app.projects.models import Project, Scope
from app.projects.schemas import EnvironmentName

router = APIRouter(prefix="/projects/{slug}/environments", tags=["environments"])
waivers_router = APIRouter(prefix="/projects/{slug}/waivers", tags=["waivers"])

Reader = Annotated[Caller[Project], project_for(Scope.READ)]
Administrator = Annotated[Caller[Project], project_for(Scope.ADMIN)]
EnvironmentReader = Annotated[Caller[Environment], environment_for(Scope.READ)]
# Drift compares what is read in several queries.
ReaderOfOneMoment = Annotated[Caller[Environment], environment_for(Scope.READ, "REPEATABLE READ")]
Deployer = Annotated[Caller[Environment], environment_for(Scope.DEPLOY)]
# The evidence and the answer are of one moment.
Decider = Annotated[Caller[Environment], environment_for(Scope.DEPLOY, "REPEATABLE READ")]
OF_A_PROJECT = (ProjectNotFound, ScopeMissing)
OF_AN_ENVIRONMENT = (*OF_A_PROJECT, EnvironmentNotFound)
OF_A_DEPLOYER = (*OF_AN_ENVIRONMENT, EnvironmentForbidden, ProjectArchived)


@router.get("", summary="List environments", responses=documented(*OF_A_PROJECT, InvalidCursor))
async def list_environments(
    caller: Reader, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[EnvironmentRead]:
    """Sorted by name."""
    return paging.link(await caller.ask(service.list_environments, cursor=cursor, limit=limit))


@router.put(
    "/{name}",
    summary="Create an environment, or change its policy",
    responses={
        201: {"description": "The environment is new.", "model": EnvironmentRead},
        **documented(*OF_A_PROJECT, ProjectArchived, VersionOutdated, *OF_A_BODY),
    },
)
async def put_environment(
    caller: Administrator,
    name: Annotated[EnvironmentName, Path(description="The environment's name.", examples=["production"])],
    policy: Policy,
    response: Response,
    if_match: IfMatch = None,
) -> EnvironmentRead:
    """Omitted parts of the policy have their defaults. With `If-Match` it changes that version, and creates none."""
    environment, is_new = await caller.ask(service.put_environment, name, policy, if_match)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return tagged(response, environment)


@router.get("/{name}", summary="Read an environment", responses=documented(*OF_AN_ENVIRONMENT))
async def read_environment(caller: EnvironmentReader, response: Response) -> EnvironmentRead:
    """Its `ETag` names this version of the policy."""
    return tagged(response, await caller.ask(lambda _, found: EnvironmentRead.model_validate(found)))


def tagged(response: Response, environment: EnvironmentRead) -> EnvironmentRead:
    response.headers["ETag"] = etag_of(environment)
    return environment


@router.get("/{name}/deployments", summary="List deployments", responses=documented(*OF_AN_ENVIRONMENT, InvalidCursor))
async def list_deployments(
    caller: EnvironmentReader, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[DeploymentRead]:
    """The newest first."""
    return paging.link(await caller.ask(deployments.list_deployments, cursor=cursor, limit=limit))


@router.put(
    "/{name}/deployments/{deployment_id}",
    summary="Deploy a version",
    responses={
        201: {"description": "The deployment is new.", "model": DeploymentRead},
        **documented(*OF_A_DEPLOYER, VersionUnknown, DeploymentDiffers, DeploymentEnded, *OF_A_BODY),
    },
)
async def put_deployment(
    caller: Deployer,
    deployment_id: Annotated[DeploymentId, Path(description="Chosen by the deployer.", examples=["release-42"])],
    put: DeploymentPut,
    response: Response,
) -> DeploymentRead:
    """Says that a version is deployed, rolling, or ended. Sending it again changes nothing.

    While it rolls, several versions are live; `live` ends the others. A version that no report has is refused."""
    deployment, is_new = await caller.ask(deployments.put_deployment, deployment_id, put)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return deployment


@router.post(
    "/{name}/snapshots",
    status_code=status.HTTP_201_CREATED,
    summary="Send a snapshot",
    responses=documented(*OF_A_DEPLOYER, SnapshotRefused, TooManyBodies, *OF_A_BODY),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PostedSnapshot"}}},
        }
    },
)
async def post_snapshot(caller: Deployer, request: Request) -> SnapshotRead:
    """Stores what `overproof snapshot` prints of the environment's database."""
    # As for reports: the token is checked before the body is read, which may have megabytes.
    await caller.authenticate()
    pieces = [piece async for piece in request.stream()]
    return await caller.workers.run_alone(lambda: caller.transact(snapshots.store_snapshot, read_snapshot(pieces)))


@router.get("/{name}/snapshots", summary="List snapshots", responses=documented(*OF_AN_ENVIRONMENT, InvalidCursor))
async def list_snapshots(
    caller: EnvironmentReader, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[SnapshotRead]:
    """The newest first, without their objects."""
    return paging.link(await caller.ask(snapshots.list_snapshots, cursor=cursor, limit=limit))


@router.get(
    "/{name}/snapshots/{snapshot_id}",
    summary="Read a snapshot",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/PostedSnapshot"}}}},
        **documented(*OF_AN_ENVIRONMENT, SnapshotNotFound),
    },
)
async def read_snapshot_of_environment(caller: EnvironmentReader, snapshot_id: UUID, request: Request) -> Response:
    """The whole snapshot, as `overproof snapshot` prints it."""
    sending: Sending = request.app.state.sending

    def read() -> bytes:
        sending.require_room()
        return caller.transact(snapshots.snapshot_text, snapshot_id).encode()

    return LargeAnswer(await caller.workers.run_alone(read), sending)


@router.get("/{name}/drift", summary="Read the drift", responses=documented(*OF_AN_ENVIRONMENT))
async def read_drift_of_environment(caller: ReaderOfOneMoment) -> DriftRead:
    """The newest snapshot, compared with the schema that was proved for the revision that the database is at."""
    return await caller.workers.run_alone(lambda: caller.transact(read_drift))


@router.post(
    "/{name}/decisions",
    status_code=status.HTTP_201_CREATED,
    summary="Decide",
    responses=documented(*OF_A_DEPLOYER, *OF_A_BODY),
)
async def decide(caller: Decider, asked: DecisionCreate) -> DecisionRead:
    """May this version be deployed? `allow`, `deny` or `unknown`, with each reason and what would clear it.

    The answer is stored with what it rests on, except for a dry run."""
    return await caller.ask(decisions.decide, asked)


@router.get("/{name}/decisions", summary="List decisions", responses=documented(*OF_AN_ENVIRONMENT, InvalidCursor))
async def list_decisions(
    caller: EnvironmentReader, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[DecisionSummary]:
    """The newest first, without their pending revisions. `void` says whether something has changed since."""
    return paging.link(await caller.ask(decisions.list_decisions, cursor=cursor, limit=limit))


@router.get(
    "/{name}/decisions/{decision_id}",
    summary="Read a decision",
    responses=documented(*OF_AN_ENVIRONMENT, DecisionNotFound),
)
async def read_decision(caller: EnvironmentReader, decision_id: UUID) -> DecisionRead:
    return await caller.ask(decisions.read_decision, decision_id)


@waivers_router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Accept a finding",
    responses=documented(*OF_A_PROJECT, ProjectArchived, *OF_A_BODY),
)
async def create_waiver(caller: Administrator, new: WaiverCreate) -> WaiverRead:
    """By its fingerprint, for one environment or all, until some day. Decisions name it."""
    return await caller.ask(waivers.create_waiver, new)


@waivers_router.get("", summary="List waivers", responses=documented(*OF_A_PROJECT, InvalidCursor))
async def list_waivers(
    caller: Reader, paging: RequestPaging, cursor: Cursor = None, limit: Limit = 50
) -> Page[WaiverRead]:
    """The newest first, including those that are no longer valid."""
    return paging.link(await caller.ask(waivers.list_waivers, cursor=cursor, limit=limit))


@waivers_router.delete(
    "/{waiver_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Revoke a waiver",
    responses=documented(*OF_A_PROJECT, WaiverNotFound, ProjectArchived),
)
async def revoke_waiver(caller: Administrator, waiver_id: UUID) -> None:
    """Decisions that rest on it become void. Revoking it again changes nothing."""
    await caller.ask(waivers.revoke_waiver, waiver_id)


MODELS_OF_BODIES: tuple[Any, ...] = (PostedSnapshot,)  # for the OpenAPI document
