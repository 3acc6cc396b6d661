"""The page at /: ranks what is typed, with this server as the device. Its files are the demo page's."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse

from onnxrank.serve.http.keys import PAGE_FILES

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[2] / "web" / "demo"
_SCRIPT = "text/javascript"
_FILES = {"served.js": _SCRIPT, "form.js": _SCRIPT, "results.js": _SCRIPT, "demo.css": "text/css"}
# Nothing from elsewhere, and no page of elsewhere around it.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@router.get("/")
async def page() -> FileResponse:
    return FileResponse(_FOLDER / "served.html", headers=_HEADERS)


def _serve(name: str, kind: str) -> None:
    @router.get(PAGE_FILES + name)
    async def file() -> FileResponse:
        return FileResponse(_FOLDER / name, media_type=kind, headers=_HEADERS)


for _name, _kind in _FILES.items():
    _serve(_name, _kind)
