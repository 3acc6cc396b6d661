"""The server that people write first: FastAPI around `CrossEncoder.rank`."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import CrossEncoder


class Body(BaseModel):
    query: str
    documents: list[str]


def make_app(checkpoint: str) -> FastAPI:
    app, model = FastAPI(), CrossEncoder(checkpoint, device="cpu")

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/rerank")
    def rerank(body: Body) -> dict[str, Any]:
        hits = model.rank(body.query, body.documents, show_progress_bar=False)
        return {"results": [{"index": hit["corpus_id"], "relevance_score": float(hit["score"])} for hit in hits]}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
