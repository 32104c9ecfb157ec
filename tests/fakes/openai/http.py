"""The fake's routes: models, chats, completions and embeddings as OpenAI's API reference describes them."""

import asyncio
import json
import os
import time
from collections import Counter
from typing import Any

from aiohttp import web
from tests.fakes.openai.defects import Defects
from tests.fakes.openai.words import CONTEXT, MODELS, ROUNDS, answer_to, next_call, order_in, vector_of

Body = dict[str, Any]


class Fault(Exception):
    """An error as the API tells it."""

    def __init__(self, status: int, message: str, code: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Server:
    """All that the fake knows."""

    def __init__(self, defects: Defects, key: str) -> None:
        self._defects = defects
        self._key = key
        self._requests: list[Body] = []
        self._count: Counter[str] = Counter()
        self._open, self._most = 0, 0
        self.loads: list[str] = []
        self.loading = asyncio.Lock()
        self._held: list[asyncio.Event] = []

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 << 20)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_get("/fake/state", self._state)
        app.router.add_post("/fake/defects", self._change)
        app.router.add_post("/fake/release", self._release)
        return app

    # The tests' side

    def seen(self) -> Body:
        """What tests ask about."""
        held = sum(not event.is_set() for event in self._held)
        seen = {"requests": self._requests, "count": self._count, "loads": self.loads}
        return {**seen, "most": self._most, "open": self._open, "held": held}

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self.seen())

    async def _change(self, request: web.Request) -> web.Response:
        self._defects.change(await request.json())
        return web.json_response(self._defects.shown())

    async def _release(self, _: web.Request) -> web.Response:
        for event in self._held:
            event.set()
        return web.json_response({})

    # The API

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Errors in the API's form, and requests counted."""
        if request.path.startswith("/fake/"):
            return await handler(request)
        self._count[request.path] += 1
        self._open += 1
        self._most = max(self._most, self._open)
        try:
            self._admit(request)
            return await handler(request)
        except Fault as fault:
            said = {"Retry-After": self._defects.retry_after} if self._defects.retry_after else {}
            return web.json_response(fault.body, status=fault.status, headers=said)
        finally:
            self._open -= 1

    def _admit(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if self._key and given != f"Bearer {self._key}":
            raise Fault(401, f"Incorrect API key provided: {given.removeprefix('Bearer ')}.", "invalid_api_key")
        if request.method == "GET":
            return
        if self._defects.broke:
            raise Fault(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota")
        if self._defects.take("limited"):
            raise Fault(429, "Rate limit reached for requests", "rate_limit_exceeded", "requests")
        if self._defects.take("loading"):
            raise Fault(503, "Loading model", "", "unavailable_error")
        if self._defects.take("broken"):
            raise Fault(500, "The server had an error", "", "server_error")

    async def _models(self, _: web.Request) -> web.Response:
        if self._defects.no_list:
            raise web.HTTPNotFound
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in self.offered()]
        return web.json_response({"object": "list", "data": data})

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await self._body(request, "input")
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise Fault(400, "'$.input' is invalid.", "")
        for text in texts:
            self._check(text)
        data = [
            {"object": "embedding", "index": n, "embedding": vector_of(text, body.get("dimensions", 8))}
            for n, text in enumerate(texts)
        ]
        words = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request, "messages")
        if not all(isinstance(each, dict) and "role" in each for each in body["messages"]):
            raise Fault(400, "Invalid value for 'messages'", "invalid_value")
        return await self._answer(request, body, str(body["messages"][-1].get("content", "")), is_chat=True)

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request, "prompt")
        return await self._answer(request, body, str(body["prompt"]), is_chat=False)

    async def _body(self, request: web.Request, needed: str) -> Body:
        try:
            body: Body = await request.json()
        except ValueError:
            raise Fault(400, "We could not parse the JSON body of your request.", "") from None
        self._requests.append(body)
        if needed not in body or "model" not in body:
            raise Fault(400, f"you must provide a {needed if 'model' in body else 'model'} parameter", "")
        self.admit_model(body["model"])
        await self.load(body["model"])
        return body

    def offered(self) -> list[str]:
        """The models that are listed."""
        return list(MODELS)

    def admit_model(self, model: str) -> None:
        """Raises Fault: there is no such model."""
        if model not in MODELS:
            raise Fault(404, f"The model `{model}` does not exist", "model_not_found")

    async def load(self, model: str) -> None:
        """One model is there at a time, as at llama-swap."""
        async with self.loading:
            if self.loads[-1:] != [model]:
                await asyncio.sleep(self._defects.load_s)
                self.loads.append(model)

    def _check(self, text: str) -> None:
        """What a prompt is not answered for."""
        if len(text.split()) > CONTEXT:
            raise Fault(400, f"This model's maximum context length is {CONTEXT} tokens", "context_length_exceeded")
        match order_in(text):
            case "policy":
                raise Fault(400, "Your request was rejected by our safety system", "content_policy_violation")
            case "fault":
                raise Fault(500, "The server had an error", "", "server_error")
            case "oom":
                raise Fault(500, "CUDA out of memory. Tried to allocate 2.00 GiB", "", "server_error")
            case "die":
                os._exit(1)
            case _:
                return

    async def _answer(self, request: web.Request, body: Body, text: str, *, is_chat: bool) -> web.StreamResponse:
        self._check(text)
        answer = Answer(body, text, is_chat=is_chat)
        if not body.get("stream") or self._defects.no_stream:
            return web.json_response(answer.whole())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        order = order_in(text)
        for number, chunk in enumerate(answer.chunks()):
            await asyncio.sleep(self._defects.token_s)
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            if number == 1 and order:
                await self._misbehave(request, response, order)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _misbehave(self, request: web.Request, response: web.StreamResponse, order: str) -> None:
        """In the middle of an answer."""
        assert request.transport is not None
        match order:
            case "hold":
                event = asyncio.Event()
                self._held.append(event)
                try:
                    await event.wait()
                finally:
                    event.set()
            case "cut":
                request.transport.abort()
            case "garbage":
                await response.write(b"data: {this is no JSON\n\n")
            case "latin":
                await response.write(b'data: {"choices": [{"delta": {"content": "\xe9"}}]}\n\n')
            case "huge":
                for _ in range(200):
                    await response.write(b"data: " + b" " * (1 << 20))
            case _:
                return


class Answer:
    """An answer to one request, whole or in chunks."""

    def __init__(self, body: Body, text: str, *, is_chat: bool) -> None:
        self._body = body
        self._is_chat = is_chat
        self._order = order_in(text)
        self._text = text
        self._head = {"id": f"{'chatcmpl' if is_chat else 'cmpl'}-{time.monotonic_ns()}", "created": int(time.time())}

    def whole(self) -> Body:
        """As it is without `stream`."""
        choices: list[Body] = []
        for index in range(self._body.get("n", 1)):
            tokens, finish = self._tokens(index)
            said: Body = {"text": "".join(tokens)}
            if self._is_chat:
                said = {"message": self._message("".join(tokens))}
            choices.append({"index": index, **said, "logprobs": None, "finish_reason": finish})
        kind = "chat.completion" if self._is_chat else "text_completion"
        return {**self._head, "object": kind, "model": self._body["model"], "choices": choices, "usage": self._usage()}

    def chunks(self) -> list[Body]:
        """As it is with `stream`: a role, tokens, how it ended, and the usage if that was asked for."""
        chunks: list[Body] = []
        for index in range(self._body.get("n", 1)):
            tokens, finish = self._tokens(index)
            deltas = self._deltas(tokens) if self._is_chat else [{"text": token} for token in tokens]
            chunks += [self._chunk({"index": index, **delta, "finish_reason": None}) for delta in deltas]
            empty: Body = {"delta": {}} if self._is_chat else {"text": ""}
            chunks.append(self._chunk({"index": index, **empty, "finish_reason": finish}))
        if (self._body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**self._chunk(None), "usage": self._usage()})
        return chunks

    def _deltas(self, tokens: list[str]) -> list[Body]:
        role = {"role": "assistant", "content": ""}
        if self._order == "refuse":
            return [{"delta": role}, {"delta": {"refusal": "I can't "}}, {"delta": {"refusal": "help with that."}}]
        if called := self._called():
            name, arguments = called
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
            middle = len(arguments) // 2
            pieces = (arguments[:middle], arguments[middle:])
            parts = [{"index": 0, "function": {"arguments": part}} for part in pieces]
            return [{"delta": {**role, "tool_calls": [call]}}, *({"delta": {"tool_calls": [part]}} for part in parts)]
        return [{"delta": role}, *({"delta": {"content": token}} for token in tokens)]

    def _called(self) -> tuple[str, str] | None:
        """The tool that is called, and its arguments as JSON: what a script wants, else the first that there is."""
        if not self._body.get("tools"):
            return None
        if any(str(message.get("content")).startswith(ROUNDS) for message in self._body["messages"]):
            return next_call(self._body["messages"])
        return self._body["tools"][0]["function"]["name"], '{"q": "x"}'

    def _message(self, text: str) -> Body:
        if self._order == "refuse":
            return {"role": "assistant", "content": None, "refusal": "I can't help with that."}
        return {"role": "assistant", "content": text, "refusal": None}

    def _tokens(self, choice: int) -> tuple[list[str], str]:
        """The tokens, and why there are no more."""
        tokens = answer_to(self._text, self._body, choice)
        most = self._body.get("max_completion_tokens", self._body.get("max_tokens", len(tokens)))
        finish = "length" if most < len(tokens) else "tool_calls" if self._called() else "stop"
        return tokens[:most], "content_filter" if self._order == "filter" else finish

    def _usage(self) -> Body:
        asked = len(self._text.split())
        made = sum(len(self._tokens(index)[0]) for index in range(self._body.get("n", 1)))
        return {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}

    def _chunk(self, choice: Body | None) -> Body:
        kind = "chat.completion.chunk" if self._is_chat else "text_completion"
        choices = [] if choice is None else [choice]
        return {**self._head, "object": kind, "model": self._body["model"], "choices": choices}
