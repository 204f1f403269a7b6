"""Serve: a checkpoint behind an OpenAI-compatible server, by transformers' `generate`; for a CPU, a demo, a test.

    python -m cotgen.stages.serve MODEL --port 8000

On a GPU use `vllm serve`, which is far faster. Requests that wait are answered in one batch. A reply depends on the
request and its seed alone, up to the rounding of a batch: noise is drawn for each row by itself.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import queue
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cotgen.errors import CotgenError
from cotgen.stages.arguments import VisionArguments
from cotgen.stages.models import load_processor

#: How long a batch waits for more, in seconds.
_WAIT_S = 0.02
_MOST_BODY = 64 * 2**20
#: More than anybody asks of one request.
_SEED_STEP = 1009


@dataclass
class _Row:
    """One wanted completion."""

    text: str
    images: list[Any]
    tokens: int
    temperature: float
    top_p: float
    seed: int
    done: queue.SimpleQueue[tuple[str, str, int, int]] = field(default_factory=queue.SimpleQueue)


class Policy:
    """A model that answers batches of rows in a thread of its own.

    Args:
        folder: of the checkpoint.
        most_rows: of a batch.
        device: `cpu`, `cuda`, ...
    """

    def __init__(self, folder: str, most_rows: int = 32, device: str = "cpu") -> None:
        import torch
        from transformers import AutoModelForImageTextToText

        self.processor = load_processor(folder, VisionArguments())
        try:
            model = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
        except (OSError, ValueError) as error:
            raise CotgenError(f"the model {folder} cannot be loaded: {error}") from error
        self.model = model.eval().to(device)
        self._torch = torch
        self._most = most_rows
        self._waiting: queue.SimpleQueue[_Row] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="policy").start()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a chat completion.

        Raises:
            ValueError: the request asks for what this server does not do; the text says what.
        """
        rows = self._rows(body)
        for row in rows:
            self._waiting.put(row)
        found = [row.done.get() for row in rows]
        for text, finish, _, _ in found:
            if finish == "error":
                raise ValueError(text)
        choices = [
            {"index": n, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
            for n, (text, finish, _, _) in enumerate(found)
        ]
        prompt, written = found[0][2], sum(tokens for _, _, _, tokens in found)
        usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
        return {
            "id": "cotgen",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body.get("model", ""),
            "choices": choices,
            "usage": usage,
        }

    def _rows(self, body: dict[str, Any]) -> list[_Row]:
        messages, images = _messages(body.get("messages"))
        if "response_format" in body or "structured_outputs" in body:
            raise ValueError("this server writes free text only; a schema needs vllm serve")
        text = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        seed = int(body.get("seed") or 0)
        most = int(body.get("max_completion_tokens") or body.get("max_tokens") or 512)
        temperature, top_p = float(body.get("temperature", 1.0)), float(body.get("top_p", 1.0))
        wanted = range(int(body.get("n") or 1))
        if not wanted or most < 1:
            raise ValueError("n and max_tokens are 1 or more")
        return [_Row(text, images, most, temperature, top_p, seed * _SEED_STEP + n) for n in wanted]

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            until = time.monotonic() + _WAIT_S
            while len(batch) < self._most:
                try:
                    batch.append(self._waiting.get(timeout=max(0.0, until - time.monotonic())))
                except queue.Empty:
                    break
            self._answer(batch)

    def _answer(self, batch: list[_Row]) -> None:
        try:
            self._generate(batch)
        except Exception as error:  # whatever the model raises is the request's answer
            if len(batch) == 1:
                batch[0].done.put((f"{type(error).__name__}: {error}", "error", 0, 0))
                return
            # One that cannot be answered takes none of the others with it.
            for row in batch:
                self._answer([row])

    def _generate(self, batch: list[_Row]) -> None:
        torch, tokenizer = self._torch, self.processor.tokenizer
        images = [image for row in batch for image in row.images] or None
        inputs = self.processor(text=[row.text for row in batch], images=images, padding=True, return_tensors="pt")
        inputs = inputs.to(self.model.device)
        width = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            found = self.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=max(row.tokens for row in batch),
                logits_processor=[_Noise(torch, batch)],
            )
        ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
        for row, prompt, ids in zip(batch, inputs["attention_mask"], found[:, width:].tolist(), strict=True):
            own = next((n for n, token in enumerate(ids) if token in ends), len(ids))
            finish = "stop" if own < min(len(ids), row.tokens) else "length"
            text = tokenizer.decode(ids[: min(own, row.tokens)], skip_special_tokens=True)
            row.done.put((text, finish, int(prompt.sum()), min(own, row.tokens)))


class _Noise:
    """Sampling by the greatest of logits / temperature + Gumbel noise, with a generator for each row."""

    def __init__(self, torch: Any, batch: list[_Row]) -> None:
        self._torch, self._batch = torch, batch
        self._draws = [torch.Generator().manual_seed(row.seed) for row in batch]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        torch = self._torch
        scores = scores.float()
        for number, row in enumerate(self._batch):
            if row.temperature <= 0:
                continue
            logits = scores[number] / row.temperature
            if row.top_p < 1:
                ordered, places = logits.softmax(-1).sort(descending=True)
                # The first token over the mass still belongs to it.
                out = ordered.cumsum(-1) - ordered >= row.top_p
                logits[places[out]] = -torch.inf
            noise = torch.rand(logits.shape[-1], generator=self._draws[number]).clamp_(1e-20, 1 - 1e-7)
            scores[number] = logits - (-noise.log()).log().to(logits.device)
        return scores


def _messages(given: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Messages as a chat template takes them, and their pictures."""
    from PIL import Image

    if not isinstance(given, list) or not given:
        raise ValueError("messages is no list of messages")
    messages, images = [], []
    for message in given:
        content = message.get("content", "")
        parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        told: list[dict[str, Any]] = []
        for part in parts:
            if part.get("type") == "image_url":
                _, comma, data = part["image_url"]["url"].partition(";base64,")
                if not comma:
                    raise ValueError("a picture comes as a data URL")
                try:
                    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True))).convert("RGB")
                except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
                    raise ValueError(f"a picture cannot be decoded: {error}") from error
                images.append(picture)
                told.append({"type": "image"})
            else:
                told.append({"type": "text", "text": str(part.get("text", ""))})
        messages.append({"role": message.get("role", "user"), "content": told})
    return messages, images


def server(policy: Policy, name: str, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server that is ready for `serve_forever`; `server_address[1]` is its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing for each request."""

        def do_GET(self) -> None:
            if self.path == "/v1/models":
                self._send(200, {"object": "list", "data": [{"id": name, "object": "model"}]})
            else:
                self._send(404, {"error": {"message": f"there is nothing at {self.path}"}})

        def do_POST(self) -> None:
            told = self.headers.get("Content-Length") or "0"
            length = int(told) if told.isdecimal() else _MOST_BODY + 1
            if length > _MOST_BODY:
                self.close_connection = True
                self._send(413, {"error": {"message": "the request is too large, or does not say its length"}})
                return
            raw = self.rfile.read(length)
            if self.path != "/v1/chat/completions":
                self._send(404, {"error": {"message": f"there is nothing at {self.path}"}})
                return
            try:
                body = json.loads(raw)
                if body.get("model") != name:
                    self._send(404, {"error": {"message": f"the model `{body.get('model')}` does not exist"}})
                    return
                self._send(200, policy.answer(body))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._send(400, {"error": {"message": str(error)}})

        def _send(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    return Server((host, port), Handler)


def main() -> None:
    """`python -m cotgen.stages.serve MODEL`."""
    import argparse

    from cotgen.stages.console import main_of

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="folder of a checkpoint")
    parser.add_argument("--name", default="", help="as requests name it; default: the name of the folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--rows", type=int, default=32, help="completions of one batch; default 32")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()

    def run() -> None:
        name = given.name or Path(given.model).resolve().name
        try:
            running = server(Policy(given.model, given.rows, given.device), name, given.host, given.port)
        except OSError as error:
            raise CotgenError(f"{given.host}:{given.port} cannot be listened on: {error.strerror}") from error
        print(f"http://{given.host}:{running.server_address[1]}/v1 serves {name}", flush=True)
        running.serve_forever()

    try:
        main_of(run)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
