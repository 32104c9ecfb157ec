"""Files over HTTP: `/view` and `/upload/image`, with the status codes and the renaming of the real server."""

import io
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from PIL import Image
from tests.fakes.comfyui.defects import Defects
from tests.fakes.comfyui.files import Folders, file_hash, is_inside, split_annotation

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(folders: Folders, defects: Defects) -> list[tuple[str, str, Handler]]:
    """The routes that serve and take files."""
    files = _Files(folders, defects)
    return [("GET", "/view", files.view), ("HEAD", "/view", files.view), ("POST", "/upload/image", files.upload)]


class _Files:
    def __init__(self, folders: Folders, defects: Defects) -> None:
        self._folders = folders
        self._defects = defects

    async def view(self, request: web.Request) -> web.StreamResponse:
        path = self._viewed(request)
        if path is None or not path.is_file():
            return web.Response(status=404)
        if self._defects.take("view_500"):
            raise RuntimeError("the switch says so")
        headers = {"Content-Disposition": f'filename="{path.name}"'}
        query = request.rel_url.query
        if "preview" in query:
            kind, _, quality = query["preview"].partition(";")
            return _converted(path, kind, headers, quality=int(quality or 90))
        if query.get("channel") in ("rgb", "a"):
            return _channel(path, query["channel"], headers)
        if self._defects.take("view_truncated"):
            return await _truncated(request, path.read_bytes(), {**headers, "Content-Type": _content_type(path)})
        if self._defects.take("view_corrupt"):
            content = bytes(byte ^ 0x55 for byte in path.read_bytes())
            return web.Response(body=content, headers=headers, content_type=_content_type(path))
        return web.FileResponse(path, headers=headers)

    async def upload(self, request: web.Request) -> web.Response:
        post = await request.post()
        image = post.get("image")
        if not isinstance(image, web.FileField) or not image.filename:
            return web.Response(status=400)
        kind = str(post.get("type", "input"))
        subfolder = str(post.get("subfolder", ""))
        path = self._folders.by_type[kind] / subfolder / image.filename
        if not is_inside(path, self._folders.by_type[kind]):
            return web.Response(status=400)
        name = _write(path, image.file.read(), overwrite=post.get("overwrite") in ("true", "1"))
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})

    def _viewed(self, request: web.Request) -> Path | None:
        """The path that a request means, None if it means none.

        Raises:
            web.HTTPBadRequest, web.HTTPForbidden: it may not mean what it does.
        """
        query = request.rel_url.query
        if "filename" not in query:
            return None
        name, folder = split_annotation(query["filename"])
        if not name or name.startswith("/") or ".." in name:
            raise _empty(web.HTTPBadRequest)
        top = self._folders.by_type.get(folder or query.get("type", "output"))
        if top is None:
            raise _empty(web.HTTPBadRequest)
        inside = top / query.get("subfolder", "")
        if not is_inside(inside, top):
            raise _empty(web.HTTPForbidden)
        return inside / Path(name).name


def _write(path: Path, content: bytes, *, overwrite: bool) -> str:
    """Write an upload, whose name is then returned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path if overwrite else _free_name(path, content)
    path.write_bytes(content)
    return path.name


def _free_name(path: Path, content: bytes) -> Path:
    """The path, or the first of its numbered names that is free or has the same content."""
    candidate, number = path, 0
    while candidate.exists() and file_hash(candidate.read_bytes()) != file_hash(content):
        number += 1
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return candidate


def _converted(path: Path, kind: str, headers: dict[str, str], *, quality: int) -> web.Response:
    buffer = io.BytesIO()
    kind = kind if kind in ("webp", "jpeg") else "webp"
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, kind, quality=quality)
    return web.Response(body=buffer.getvalue(), headers=headers, content_type=f"image/{kind}")


def _channel(path: Path, channel: str, headers: dict[str, str]) -> web.Response:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        picture = image.convert("RGB")
        if channel == "a":
            alpha = image.convert("RGBA").getchannel("A")
            picture = Image.new("RGBA", image.size)
            picture.putalpha(alpha)
        picture.save(buffer, "PNG")
    return web.Response(body=buffer.getvalue(), headers=headers, content_type="image/png")


async def _truncated(request: web.Request, content: bytes, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


def _content_type(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _empty(kind: type[web.HTTPBadRequest] | type[web.HTTPForbidden]) -> web.HTTPException:
    refusal = kind()
    refusal.body = b""
    return refusal
