"""Uploads and artifacts as the HTTP contract has them, over a folder: small parts, and ingest is done at once.

They answer in place of the API's own routes, whose tests are in tests/unit/api.
"""

import io
import json
import zipfile

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from slipway import keys
from tests.fake_stages import BEST, REPORT

SHA = "0ff1ce" * 10 + "0ff1"
PART_BYTES = 1000
RESULT = {"dataset": f"datasets/ponds/{SHA}"}


def uploads_and_artifacts(store, cluster, parts_url):
    router = APIRouter()

    @router.post("/v1/datasets")
    async def send(request: Request, name: str):
        return JSONResponse(ingested(await request.body(), name), 201)

    @router.post("/v1/datasets:begin")
    async def begin(request: Request):
        asked = await request.json()
        if parts_url is None:
            return problem(501, "this store has no addresses for parts; send the archive whole")
        store.write(keys.incoming_archive("up-1"), json.dumps(asked).encode())
        return JSONResponse(upload("up-1"), 201)

    @router.get("/v1/datasets/uploads/{id}")
    async def look(id: str):
        if store.size(keys.incoming_archive(id)) is None:
            return problem(404, f"there is no upload {id}")
        return upload(id)

    @router.post("/v1/datasets/uploads/{id}:complete")
    async def complete(id: str):
        asked = json.loads(store.read(keys.incoming_archive(id)))
        parts = sorted(key for key in store.list(keys.incoming(id)) if key.endswith(".part"))
        answer = ingested(b"".join(store.read(key) for key in parts), asked["name"])
        for key in [*parts, keys.incoming_archive(id)]:
            store.delete(key)
        return JSONResponse(answer, 201)

    @router.get("/v1/datasets/{ref}/report")
    async def report(ref: str):
        return REPORT if ref == f"ponds@{SHA}" else problem(404, f"there is no dataset {ref}")

    @router.get("/v1/runs/{run}/artifacts")
    async def artifacts(run: str):
        folder = keys.run_folder(run)
        paths = [key.removeprefix(f"{folder}/") for key in store.list(folder)]
        return {"items": [{"path": path, "bytes": store.size(f"{folder}/{path}")} for path in paths]}

    @router.get("/v1/runs/{run}/artifacts/{path:path}")
    async def artifact(request: Request, run: str, path: str):
        key = f"{keys.run_folder(run)}/{path}"
        if store.size(key) is None:
            return problem(404, f"run {run} has no artifact {path}")
        return ranged(request, store.read(key), f'"{store.stat(key).etag}"')

    def upload(id):
        size = json.loads(store.read(keys.incoming_archive(id)))["archive"]["bytes"]
        numbers = range(1, -(-size // PART_BYTES) + 1)
        left = [number for number in numbers if store.size(keys.incoming_part(id, number)) is None]
        parts = [{"number": number, "url": f"{parts_url}/{keys.incoming_part(id, number)}"} for number in left]
        return {"id": id, "partBytes": PART_BYTES, "parts": parts}

    def ingested(archive, name):
        """Keep the files; and, as the controller would, end the run that ingests them."""
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert opened.testzip() is None
            for entry in opened.namelist():
                store.write(f"{keys.upload('up-1')}/{entry}", opened.read(entry))
        run = f"{name}-0ff1ce00"
        source = f"s3://bucket/{keys.upload('up-1')}"
        spec = {"dataset": {"source": source, "name": name}, "until": "ingest"}
        cluster.create({"metadata": {"name": run}, "spec": spec})
        if name == "faulty":
            store.write(keys.failure(run, "ingest"), json.dumps({"code": 65}).encode())
            failed = {"ingest": {"phase": "failed", "attempt": 1}}
            cluster.report(run, state="FAILED", settled=1, stage="ingest", reason="a.xml: no area", stages=failed)
        else:
            store.write(keys.result(run, "ingest"), json.dumps(RESULT).encode())
            cluster.report(run, state="SUCCEEDED", settled=1, best={"step": BEST["step"], **BEST["metrics"]})
        images, size = len(opened.namelist()), sum(info.file_size for info in opened.infolist())
        return {"id": "up-1", "name": name, "source": source, "run": run, "images": images, "bytes": size}

    return router


def ranged(request, content, etag):
    """Answer with the content, or what is asked of it."""
    headers = {"ETag": etag}
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=304, headers=headers)
    start = request.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
    if not start or request.headers.get("If-Range", etag) != etag:
        return Response(content, headers=headers, media_type="application/octet-stream")
    if int(start) >= len(content):
        return problem(416, "the range lies behind the end")
    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return Response(content[int(start) :], 206, headers)


def problem(status, detail):
    return JSONResponse({"detail": detail, "status": status}, status, media_type="application/problem+json")
