"""The HTTP surface of the fake: prompts, queue, history, jobs and information, and the switches for tests."""

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from tests.fakes.comfyui import file_routes, jobs
from tests.fakes.comfyui.defects import Defects, until
from tests.fakes.comfyui.files import MODEL_FOLDERS, Folders, read_model
from tests.fakes.comfyui.gate import Gate
from tests.fakes.comfyui.options import Options
from tests.fakes.comfyui.prompts import Entry, Prompts
from tests.fakes.comfyui.stream import Stream
from tests.fakes.comfyui.validation import BAD_PROMPT_ID, NO_PROMPT, Rejected, Validation
from tests.fakes.comfyui.vram import MEMORY
from tests.fakes.comfyui.worker import Worker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY = 100 << 20
_SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")


class Server:
    """One fake server: its parts, and its routes."""

    def __init__(self, folders: Folders, defects: Defects, options: Options) -> None:
        self._options = options
        self._defects = defects
        self._folders = folders
        self._counter = itertools.count()
        self._arrivals = itertools.count()
        self._requests: Counter[str] = Counter()
        self._gate = Gate(defects)
        self._stream = Stream(defects, self._features())
        self._prompts = Prompts(defects, self._queue_changed)
        self._worker = Worker(self._prompts, self._stream, folders, self._gate, defects, options)
        self._publisher = asyncio.create_task(self._stream.publish())
        self._worker.start()

    def app(self) -> web.Application:
        """All routes, each one also below `/api`."""
        middlewares = [self._freeze, self._refuse_strangers, _leave_empty]
        app = web.Application(client_max_size=_MAX_BODY, middlewares=middlewares)
        for method, path, handler in [*self._routes(), *file_routes.routes(self._folders, self._defects)]:
            app.router.add_route(method, path, handler)
            app.router.add_route(method, f"/api{path}", handler)
        if not self._options.old:
            app.router.add_get("/api/jobs", self._list_jobs)
            app.router.add_get("/api/jobs/{id}", self._get_job)
        if self._options.new:
            app.router.add_post("/api/jobs/cancel", self._cancel_jobs)
            app.router.add_post("/api/jobs/{id}/cancel", self._cancel_job)
        app.router.add_get("/fake/state", self._get_state)
        app.router.add_post("/fake/defects", self._change_defects)
        app.router.add_post("/fake/release", self._release)
        return app

    def _routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/ws", self._stream.serve),
            ("GET", "/prompt", self._get_prompt),
            ("POST", "/prompt", self._post_prompt),
            ("GET", "/queue", self._get_queue),
            ("POST", "/queue", self._post_queue),
            ("POST", "/interrupt", self._interrupt),
            ("GET", "/history", self._get_history),
            ("GET", "/history/{id}", self._get_history_entry),
            ("POST", "/history", self._post_history),
            ("POST", "/free", self._free),
            ("GET", "/object_info", self._get_all_nodes),
            ("GET", "/object_info/{name}", self._get_node),
            ("GET", "/system_stats", self._get_system_stats),
            ("GET", "/features", self._get_features),
            ("GET", "/internal/folder_paths", self._get_folder_paths),
            ("GET", "/models", self._get_model_folders),
            ("GET", "/models/{folder}", self._get_models),
            ("GET", "/embeddings", self._get_embeddings),
            ("GET", "/view_metadata/{folder}", self._get_model_metadata),
        ]

    async def _get_prompt(self, _: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": self._prompts.remaining()}})

    async def _post_prompt(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self._defects.post_latency_s)
        body = await request.json()
        if self._defects.take("post_refused_then_ok"):
            return _cut(request)
        if "number" in body:
            number = float(body["number"])
        else:
            number = next(self._counter)
            if "front" in body and bool(body["front"]):
                number = -number
        if "prompt" not in body:
            return web.json_response(NO_PROMPT, status=400)
        try:
            prompt_id = self._prompt_id(body)
            validation = Validation(body["prompt"], self._worker.nodes, self._options)
            outputs, node_errors = validation.run(body.get("partial_execution_targets"))
        except Rejected as rejected:
            return web.json_response(rejected.body, status=400)
        extra_data = self._extra_data(body)
        arrival = next(self._arrivals)
        self._prompts.put(Entry(number, prompt_id, body["prompt"], extra_data, outputs, arrival, self._defects))
        if self._defects.take("post_lost_reply"):
            return _cut(request)
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": node_errors})

    def _prompt_id(self, body: dict[str, Any]) -> str:
        """The client's id, or a new one.

        Raises:
            Rejected: it must be a UUID as Python writes it, and is not.
        """
        if not self._options.new:
            return str(body.get("prompt_id", uuid.uuid4()))
        prompt_id = body.get("prompt_id")
        if prompt_id is None:
            return str(uuid.uuid4())
        if not _is_uuid(prompt_id):
            raise Rejected(BAD_PROMPT_ID, {})
        return prompt_id

    def _extra_data(self, body: dict[str, Any]) -> dict[str, Any]:
        extra_data = body.get("extra_data", {})
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        for name in _SECRETS:
            if name in extra_data:
                del extra_data[name]
        if not self._options.old:
            extra_data["create_time"] = int(time.time() * 1000)
        return extra_data

    async def _get_queue(self, _: web.Request) -> web.Response:
        running = [entry.listed() for entry in self._prompts.running]
        pending = [entry.listed() for entry in self._prompts.pending()]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def _post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._prompts.clear()
        for prompt_id in body.get("delete", []):
            self._prompts.delete(prompt_id)
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        try:
            prompt_id = (await request.json()).get("prompt_id")
        except ValueError:
            prompt_id = None
        if not prompt_id or self._prompts.is_running(prompt_id):
            self._gate.interrupt()
        return web.Response()

    async def _get_history(self, request: web.Request) -> web.Response:
        query = request.rel_url.query
        max_items = int(query["max_items"]) if "max_items" in query else None
        return web.json_response(self._prompts.page(max_items, int(query.get("offset", -1))))

    async def _get_history_entry(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        history = self._prompts.history()
        return web.json_response({prompt_id: history[prompt_id]} if prompt_id in history else {})

    async def _post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._prompts.forget_all()
        for prompt_id in body.get("delete", []):
            self._prompts.forget(prompt_id)
        return web.Response()

    async def _list_jobs(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(jobs.listing(self._prompts, dict(request.rel_url.query)))
        except jobs.BadFilter as error:
            return web.json_response({"error": str(error)}, status=400)

    async def _get_job(self, request: web.Request) -> web.Response:
        job = jobs.single(self._prompts, request.match_info["id"])
        return web.json_response({"error": "Job not found"}, status=404) if job is None else web.json_response(job)

    async def _cancel_job(self, request: web.Request) -> web.Response:
        return web.json_response({"cancelled": self._cancel(request.match_info["id"])})

    async def _cancel_jobs(self, request: web.Request) -> web.Response:
        job_ids = (await request.json())["job_ids"]
        if bad := [job_id for job_id in job_ids if not _is_uuid(job_id)]:
            return web.json_response({"error": "job_ids contains invalid id(s)", "invalid_ids": bad}, status=400)
        cancelled = [self._cancel(job_id) for job_id in job_ids]
        return web.json_response({"cancelled": any(cancelled)})

    def _cancel(self, prompt_id: str) -> bool:
        """Interrupt the prompt if it runs, forget it if it waits; whether it did either."""
        if self._prompts.delete(prompt_id):
            return True
        running = self._prompts.is_running(prompt_id)
        if running:
            self._gate.interrupt()
        return running

    async def _free(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("free_memory"):
            self._worker.free()
        if body.get("unload_models"):
            self._worker.unload()
        return web.Response()

    async def _get_all_nodes(self, _: web.Request) -> web.Response:
        return web.json_response(self._worker.nodes.all())

    async def _get_node(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({name: self._worker.nodes[name]} if name in self._worker.nodes else {})

    async def _get_system_stats(self, _: web.Request) -> web.Response:
        system = {
            "os": "posix" if self._options.old else "linux",
            "ram_total": MEMORY,
            "ram_free": MEMORY // 2,
            "comfyui_version": self._options.version,
            "required_frontend_version": "1.37.11",
            "installed_templates_version": "0.8.31",
            "required_templates_version": "0.8.31",
            "python_version": "3.11.7 (main) [GCC 12.2.0]",
            "pytorch_version": "2.13.0+cpu",
            "embedded_python": False,
            "argv": self._options.argv,
        }
        return web.json_response({"system": system, "devices": [self._worker.vram.device()]})

    async def _get_features(self, _: web.Request) -> web.Response:
        return web.json_response(self._features())

    async def _get_folder_paths(self, _: web.Request) -> web.Response:
        return web.json_response({name: [str(self._folders.models / name)] for name in MODEL_FOLDERS})

    async def _get_model_folders(self, _: web.Request) -> web.Response:
        return web.json_response(MODEL_FOLDERS)

    async def _get_models(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        if folder not in MODEL_FOLDERS:
            raise web.HTTPNotFound
        return web.json_response(self._folders.model_names(folder))

    async def _get_embeddings(self, _: web.Request) -> web.Response:
        return web.json_response([name.rpartition(".")[0] for name in self._folders.model_names("embeddings")])

    async def _get_model_metadata(self, request: web.Request) -> web.Response:
        path = self._folders.models / request.match_info["folder"] / request.rel_url.query.get("filename", "")
        if not path.is_file():
            raise web.HTTPNotFound
        metadata = read_model(path).get("__metadata__")
        return web.Response(status=404) if metadata is None else web.json_response(metadata)

    async def _get_state(self, _: web.Request) -> web.Response:
        """What a test may want to know: the switches, the requests so far, and what is going on."""
        return web.json_response(
            {
                "defects": self._defects.shown(),
                "requests": dict(self._requests),
                "connections": self._stream.connections,
                "held": self._gate.held,
                "worker_alive": self._worker.alive,
            }
        )

    async def _change_defects(self, request: web.Request) -> web.Response:
        try:
            self._defects.change(await request.json())
        except (KeyError, ValueError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response(self._defects.shown())

    async def _release(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else dict[str, Any]()
        self._gate.release(body.get("runs", 1))
        return web.Response()

    def _features(self) -> dict[str, Any]:
        more: dict[str, Any] = {} if self._options.old else {"extension": {"manager": {"supports_v4": True}}}
        if self._options.new:
            more |= {"supports_model_type_tags": True, "node_replacements": True, "assets": False}
        return {"supports_preview_metadata": True, "max_upload_size": _MAX_BODY, **more}

    def _queue_changed(self) -> None:
        self._stream.send_status(self._prompts.remaining())

    @web.middleware
    async def _freeze(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request, and answer nothing while frozen, except to the test."""
        if not request.path.startswith("/fake/"):
            self._requests[f"{request.method} {request.path}"] += 1
            await until(lambda: not self._defects.http_frozen)
        return await handler(request)

    @web.middleware
    async def _refuse_strangers(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 403 to a browser's page of another host."""
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            return web.Response(status=403)
        return await handler(request)


@web.middleware
async def _leave_empty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 404 without a body, or 405 if this is no reading, since all that is unknown may be a page to read."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD")) from None
        return web.Response(status=404)


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _cut(request: web.Request) -> web.Response:
    """Cut the connection; what is returned reaches nobody."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
