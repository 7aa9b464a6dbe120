"""A small web page around the localizer: one recording in, what was found out.

    GET  /                      the page
    POST /api/localize          a recording and queries -> records, and names of files
    GET  /api/files/JOB/NAME    a file of that answer: plots, sounds, JSON

Every answer has a folder of its own, of a random name, below one temporary folder. Files are served
by a list that is made when the answer is, so no path that a visitor writes reaches the disk; the
oldest answers are removed. Only the address that was asked for is answered (no other host name
can point here from a stranger's page).
"""

import re
import secrets
import shutil
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tselcli.acoustics.geometry import parse_array
from tselcli.corpora.audio import AUDIO_SUFFIXES
from tselcli.errors import DataError, RecipeError, TselError
from tselcli.inquiry import Locator, Wanted, ask
from tselcli.outcomes import numbered
from tselcli.report import to_json

PAGE = Path(__file__).resolve().parent / "assets" / "page.html"
KEPT = 20  # answers whose files stay
MAX_QUERIES, MAX_LETTERS, MAX_NAME = 6, 500, 60
FILE_ARRAYS = (".yaml", ".yml", ".sofa")  # would be read from our disk
POLICY = (
    "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' data:"
)


class Answers:
    """The files of the last answers, by job and name; all below one folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._jobs: OrderedDict[str, dict[str, Path]] = OrderedDict()

    def folder(self) -> tuple[str, Path]:
        """Make the folder of a new answer; the oldest goes."""
        job = secrets.token_urlsafe(16)
        while len(self._jobs) >= KEPT:
            old, _ = self._jobs.popitem(last=False)
            shutil.rmtree(self.home / old, ignore_errors=True)
        (self.home / job).mkdir()
        self._jobs[job] = {}
        return job, self.home / job

    def publish(self, job: str, path: Path) -> str:
        """Let a file be fetched, and give its address."""
        self._jobs[job][path.name] = path
        return f"/api/files/{job}/{path.name}"

    def find(self, job: str, name: str) -> Path | None:
        """Find a published file."""
        return self._jobs.get(job, {}).get(name)


def build_app(localizer: Locator, home: Path, max_bytes: int, hosts: list[str]) -> FastAPI:
    """Make the web application.

    Args:
        localizer: that answers.
        home: an empty folder for recordings and what is made of them.
        max_bytes: of one recording.
        hosts: names that it may be asked by.
    """
    app = FastAPI(title="tsel", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    answers, lock = Answers(home), threading.Lock()

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        length = request.headers.get("content-length", "")
        if request.method == "POST" and not (length.isdigit() and int(length) <= max_bytes):
            limit = f"a recording may have {max_bytes // 10**6} MB at most"
            return JSONResponse({"error": limit}, status_code=413)
        if request.headers.get("sec-fetch-site") == "cross-site":
            return JSONResponse({"error": "asked from another site"}, status_code=403)
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

    @app.get("/api/files/{job}/{name}")
    def file(job: str, name: str) -> FileResponse:
        path = answers.find(job, name)
        if path is None:
            raise HTTPException(404, "no such file")
        return FileResponse(path)

    @app.post("/api/localize")
    def localize(
        audio: UploadFile,
        queries: Annotated[str, Form()],
        array: Annotated[str, Form()] = "square:0.12",
    ) -> JSONResponse:
        try:
            with lock:  # one at a time: the model uses every core as it is
                return JSONResponse(_answer(localizer, answers, audio, queries, array))
        except TselError as error:
            message = re.sub(rf"{re.escape(str(home))}/[\w-]+/(sent/)?", "", str(error))
            return JSONResponse({"error": message}, status_code=422)

    return app


def _answer(
    localizer: Locator, answers: Answers, audio: UploadFile, queries: str, array: str
) -> dict[str, Any]:
    """Answer one visitor: records, and addresses of what can be seen and heard."""
    asked = [line.strip() for line in queries.splitlines() if line.strip()]
    if not 1 <= len(asked) <= MAX_QUERIES or max(map(len, asked)) > MAX_LETTERS:
        raise RecipeError(f"give 1 to {MAX_QUERIES} short descriptions, a line for each")
    if array.strip().lower().endswith(FILE_ARRAYS):
        raise RecipeError("files of arrays are for the command line; give a preset")
    geometry = parse_array(array)
    suffix = Path(audio.filename or "").suffix.lower()
    if suffix not in AUDIO_SUFFIXES:
        raise DataError(f"unknown kind of audio '{suffix}'; give {', '.join(AUDIO_SUFFIXES)}")
    job, folder = answers.folder()
    (folder / "sent").mkdir()
    stem = re.sub(r"[^\w-]", "_", Path(audio.filename or "").stem)[:MAX_NAME]
    path = folder / "sent" / f"{stem}{suffix}"
    with path.open("wb") as file:
        shutil.copyfileobj(audio.file, file)
    wanted = Wanted(
        geometry,
        track=True,
        plot=folder / "track.png",
        posteriors=folder / "directions.png",
        sound=folder / "sound.wav",
    )
    records = ask(localizer, path, asked, wanted)
    for record in records:
        record["audio"] = path.name
    (folder / "answers.json").write_text("".join(to_json(record) + "\n" for record in records))
    path.unlink()
    sounds = [numbered(folder / "sound.wav", k, len(asked)) for k in range(len(asked))]
    files = {"track": "track.png", "directions": "directions.png", "json": "answers.json"}
    return {
        "answers": records,
        "sounds": [answers.publish(job, sound) for sound in sounds],
        **{key: answers.publish(job, folder / name) for key, name in files.items()},
    }
