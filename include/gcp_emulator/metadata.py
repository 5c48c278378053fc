"""Metadata servers for tasks: what GCE_METADATA_HOST points to, so that a container's credentials work unchanged.

Who asks cannot be told from the request (all tasks share 127.0.0.1), so each identity has a listener of its own.
Paths and shapes: https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys and, for what Cloud Run has
of them, https://cloud.google.com/run/docs/container-contract#metadata-server.
"""

import asyncio
import base64
import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

TOKEN_LIFE_S = 3600
_FLAVOR = {"Metadata-Flavor": "Google"}
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a listener speaks for; an empty service account means the project's default one."""

    service_account: str
    project: str
    number: str
    region: str

    @property
    def email(self) -> str:
        """The service account's e-mail, which is its access token here too."""
        return self.service_account or f"{self.number}-compute@developer.gserviceaccount.com"


class MetadataServers:
    """One listener on 127.0.0.1 for each (service account, project), started when first asked for."""

    def __init__(self, number: str = "123456789012", region: str = "europe-west1") -> None:
        self._number = number
        self._region = region
        self._listeners: dict[tuple[str, str], _Listener] = {}
        self._starting = asyncio.Lock()

    async def address(self, service_account: str, project: str) -> str:
        """The "host:port" for GCE_METADATA_HOST and GCE_METADATA_IP of this identity's tasks."""
        key = service_account, project
        async with self._starting:
            if key not in self._listeners:
                identity = Identity(service_account, project, self._number, self._region)
                self._listeners[key] = await _Listener.start(application(identity))
        return self._listeners[key].address

    async def close(self) -> None:
        """Closes all listeners."""
        await asyncio.gather(*(listener.close() for listener in self._listeners.values()))
        self._listeners.clear()


def application(identity: Identity) -> Starlette:
    """The metadata tree of one identity as a web application."""
    tree = _tree(identity)

    async def answer(request: Request) -> Response:
        path = request.path_params["path"]
        if path and request.headers.get("Metadata-Flavor", "").lower() != "google":
            return PlainTextResponse("Missing Metadata-Flavor:Google header.", 403, _FLAVOR)
        words = path.strip("/").removeprefix("computeMetadata/v1").strip("/").split("/")
        made = None
        if words[:2] == ["instance", "service-accounts"] and len(words) == 4:
            made = _made(identity, words[2], words[3], request.query_params)
        return made or _found(tree, [word for word in words if word], request)

    return Starlette(routes=[Route("/{path:path}", answer)])


def _tree(identity: Identity) -> dict[str, Any]:
    account = {"aliases": ["default"], "email": identity.email, "scopes": list(_SCOPES)}
    place = f"projects/{identity.number}"
    return {
        "instance": {
            "id": uuid4().hex,
            "region": f"{place}/regions/{identity.region}",
            "service-accounts": {"default": account, identity.email: account},
            "zone": f"{place}/zones/{identity.region}-1",
        },
        "project": {"numeric-project-id": int(identity.number), "project-id": identity.project},
        "universe": {"universe-domain": "googleapis.com"},
    }


def _found(tree: Mapping[str, Any], words: list[str], request: Request) -> Response:
    node: Any = tree
    for word in words:
        if not isinstance(node, Mapping) or word not in node:
            return PlainTextResponse(f"{request.url.path} not found", 404, _FLAVOR)
        node = node[word]
    if request.query_params.get("recursive", "").lower() == "true":
        return JSONResponse(_camel(node), headers=_FLAVOR)
    if isinstance(node, Mapping):
        node = [f"{name}/" if isinstance(child, Mapping) else name for name, child in node.items()]
    text = "\n".join(node) + "\n" if isinstance(node, list) else str(node)
    return PlainTextResponse(text, headers=_FLAVOR)


def _made(identity: Identity, account: str, what: str, query: Mapping[str, str]) -> Response | None:
    """Tokens, which are made when asked for and are no part of a recursive answer."""
    if account not in ("default", identity.email):
        return None
    if what == "token":
        token = {"access_token": identity.email, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"}
        return JSONResponse(token, headers=_FLAVOR)
    if what == "identity":
        if not query.get("audience"):
            return PlainTextResponse("non-empty audience parameter required", 400, _FLAVOR)
        return PlainTextResponse(identity_token(identity.email, query["audience"]), headers=_FLAVOR)
    return None


def identity_token(email: str, audience: str) -> str:
    """An unsigned OpenID token: good for whoever does not check the signature, and for nobody else."""
    now = int(time.time())
    claims = {"aud": audience, "azp": email, "email": email, "email_verified": True, "sub": email}
    claims |= {"iss": "https://accounts.google.com", "iat": now, "exp": now + TOKEN_LIFE_S}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, ""])


def _camel(node: Any) -> Any:
    """The names of a recursive answer: project-id becomes projectId, e-mails stay."""
    if not isinstance(node, Mapping):
        return node
    return {_camel_name(name): _camel(child) for name, child in node.items()}


def _camel_name(name: str) -> str:
    first, *rest = [name] if "@" in name else name.split("-")
    return first + "".join(word.capitalize() for word in rest)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the emulator


class _Listener:
    def __init__(self, server: _Server, serving: asyncio.Task[None], address: str) -> None:
        self._server = server
        self._serving = serving
        self.address = address

    @classmethod
    async def start(cls, app: Starlette) -> "_Listener":
        listening = socket.create_server(("127.0.0.1", 0))
        host, port = listening.getsockname()
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = _Server(config)
        # connections wait in the socket's queue until the server takes them: no need to await its start
        serving = asyncio.create_task(server.serve(sockets=[listening]), name=f"metadata {port}")
        return cls(server, serving, f"{host}:{port}")

    async def close(self) -> None:
        self._server.should_exit = True
        await self._serving
