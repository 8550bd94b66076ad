"""The pages: which path is answered with what."""

from __future__ import annotations

from html import escape


class Site:
    """What the pages know."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting
        self.requests = 0

    def answer(self, head: str) -> bytes:
        """The whole answer to a request with this head."""
        words = head.split("\r\n", 1)[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return response("400 Bad Request", "this is no request\n")
        method, path, _ = words
        if method not in ("GET", "HEAD"):
            return response("405 Method Not Allowed", "the method makes no sense here\n")
        self.requests += 1
        if path == "/":
            page = f"<!doctype html>\n<title>{{name}}</title>\n<h1>{escape(self.greeting)}</h1>\n"
            return response("200 OK", page, "text/html", body=method == "GET")
        if path == "/healthz":
            return response("200 OK", "ok\n", body=method == "GET")
        return response("404 Not Found", "there is no such page\n", body=method == "GET")


def response(status: str, text: str, kind: str = "text/plain", body: bool = True) -> bytes:
    """An answer of HTTP/1.1 behind which the connection ends."""
    content = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (content if body else b"")
