from collections.abc import Callable, Iterable, Mapping
from typing import Any

class _Headers:
    def get(self, name: str, default: str = "") -> str: ...

class _Query:
    def get(self, name: str, default: str = "") -> str: ...

class LocalRequest:
    method: str
    path: str
    query: _Query
    headers: _Headers
    environ: dict[str, Any]
    @property
    def json(self) -> Any: ...
    def get_cookie(self, key: str, default: str | None = None) -> str | None: ...

class HTTPResponse(Exception):
    body: Any
    status_code: int
    def __init__(
        self, body: bytes | str | Iterable[bytes] = ..., status: int = ..., headers: Mapping[str, str] | None = ...
    ) -> None: ...
    def set_header(self, name: str, value: str) -> None: ...
    def set_cookie(self, name: str, value: str, **options: Any) -> None: ...
    def delete_cookie(self, name: str, **options: Any) -> None: ...

class HTTPError(HTTPResponse):
    exception: Exception | None
    traceback: str | None

class Bottle:
    default_error_handler: Callable[[HTTPError], Any]
    def route(self, path: str, method: str, callback: Callable[..., Any]) -> Any: ...
    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]: ...

request: LocalRequest

def static_file(filename: str, root: str) -> HTTPResponse: ...
