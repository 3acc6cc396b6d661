"""The routes that score, rank and embed; what they share is in answers.py."""

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from onnxrank.serve.dialects.cohere import CohereRanking
from onnxrank.serve.dialects.detection import AnyRerank, Invocation
from onnxrank.serve.dialects.fields import RerankBody
from onnxrank.serve.dialects.infinity import InfinityRanking, InfinityRerank
from onnxrank.serve.dialects.isaacus import IsaacusRanking, IsaacusRerank
from onnxrank.serve.dialects.mixedbread import MixedbreadRanking, MixedbreadRerank
from onnxrank.serve.dialects.openai import EmbeddingList, EmbeddingsBody
from onnxrank.serve.dialects.pinecone import PineconeRanking, PineconeRerank
from onnxrank.serve.dialects.ranking import Ranking
from onnxrank.serve.dialects.tei import TeiRanking
from onnxrank.serve.dialects.vllm_score import ScoreList, ScorePairs
from onnxrank.serve.dialects.voyage import VoyageRanking
from onnxrank.serve.http import answers
from onnxrank.serve.http.answers import Served
from onnxrank.serve.http.disconnects import unless_gone
from onnxrank.serve.http.json_bodies import JsonRoute
from onnxrank.serve.http.openapi import answered, written
from onnxrank.serve.requests import EmbedOutcome, ScoreOutcome

router = APIRouter(route_class=JsonRoute)

_ANY_RANKING = CohereRanking | InfinityRanking | TeiRanking | VoyageRanking


@router.post("/rerank", responses=answered(_ANY_RANKING), tags=["rerank"])
@router.post("/v1/rerank", responses=answered(_ANY_RANKING), tags=["rerank"])
@router.post("/v2/rerank", responses=answered(_ANY_RANKING), tags=["rerank"])
@router.post("/openai/v1/rerank", responses=answered(_ANY_RANKING), tags=["rerank"])
async def rerank(request: Request, body: AnyRerank) -> Response:
    """Documents by descending score. The fields of the body tell the dialect: `texts` is TEI's; `top_k` or `truncation`
    Voyage's; `raw_scores` Infinity's; all else is answered for clients of Cohere, Jina, vLLM and Together."""
    return await _rank(request, body)


@router.post("/infinity/rerank", responses=answered(InfinityRanking), tags=["rerank"])
async def infinity(request: Request, body: InfinityRerank) -> Response:
    """For Infinity's clients that cannot be told from vLLM's."""
    return await _rank(request, body)


@router.post("/pinecone/rerank", responses=answered(PineconeRanking), tags=["rerank"])
async def pinecone(request: Request, body: PineconeRerank) -> Response:
    """For Pinecone's clients."""
    return await _rank(request, body)


@router.post("/v1/reranking", responses=answered(MixedbreadRanking), tags=["rerank"])
async def mixedbread(request: Request, body: MixedbreadRerank) -> Response:
    """For Mixedbread's clients."""
    return await _rank(request, body)


@router.post("/v1/rerankings", responses=answered(IsaacusRanking), tags=["rerank"])
async def isaacus(request: Request, body: IsaacusRerank) -> Response:
    """For Isaacus's clients."""
    return await _rank(request, body)


@router.post("/score", responses=answered(ScoreList), tags=["score"])
@router.post("/v1/score", responses=answered(ScoreList), tags=["score"])
async def score(request: Request, body: ScorePairs) -> Response:
    """Scores of pairs, in input order."""
    work = answers.score_pairs(_served(request), body, request.state.facts.id)
    ranking = await unless_gone(request, work)
    return _scored(request, ranking, body.render(ranking))


@router.post("/v1/embeddings", responses=answered(EmbeddingList), tags=["embeddings"])
async def embeddings(request: Request, body: EmbeddingsBody) -> Response:
    """Vectors of texts, in input order, from a model that embeds."""
    model, outcome = await unless_gone(request, answers.embed(_served(request), body))
    _learn(request, outcome, len(body.input))
    return written(body.render(outcome, model), _times(outcome))


@router.post("/invocations", responses=answered(_ANY_RANKING | ScoreList | EmbeddingList), tags=["rerank"])
async def invocations(request: Request, body: Invocation) -> Response:
    """SageMaker's route: a ranking, scores or embeddings, whatever the body asks for."""
    if isinstance(body, EmbeddingsBody):
        return await embeddings(request, body)
    return await score(request, body) if isinstance(body, ScorePairs) else await _rank(request, body)


async def _rank(request: Request, body: RerankBody) -> Response:
    version = "2" if request.url.path.startswith("/v2/") else "1"
    ranking = await unless_gone(request, answers.rank(_served(request), body, request.state.facts.id, version))
    return _scored(request, ranking, body.render(ranking))


def _scored(request: Request, ranking: Ranking, answer: BaseModel) -> Response:
    _learn(request, ranking.outcome, ranking.documents)
    return written(answer, _times(ranking.outcome))


def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


def _learn(request: Request, outcome: ScoreOutcome | EmbedOutcome, documents: int) -> None:
    facts = request.state.facts
    facts.documents, facts.tokens, facts.timing = documents, outcome.tokens, outcome.timing
    facts.truncated = len(outcome.truncated)


def _times(outcome: ScoreOutcome | EmbedOutcome) -> dict[str, str]:
    """Return TEI's headers, whose times are in milliseconds."""
    timing = outcome.timing
    times = {"total": timing.total, "tokenization": timing.tokenization, "queue": timing.queue}
    times["inference"] = timing.inference
    headers = {f"x-{name}-time": f"{1000 * seconds:.0f}" for name, seconds in times.items()}
    return {"x-compute-tokens": str(outcome.tokens), **headers}
