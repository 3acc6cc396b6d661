"""Many bodies at the same time: what does not fit into memory is refused, and the room comes back."""

import asyncio

import httpx
import pytest

from onnxrank.serve.http import body_limits
from tests.serve.asking import app_of
from tests.serve.fake import FakeScheduler


def test_bodies_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "_TOGETHER", 3000)
    body = {"query": "a", "documents": ["x" * 1000]}

    async def scenario() -> None:
        scheduler = FakeScheduler(hold=asyncio.Event())
        assert scheduler.hold
        transport = httpx.ASGITransport(app_of(scheduler, max_body=2000))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            held = [asyncio.create_task(client.post("/rerank", json=body)) for _ in range(2)]
            while len(scheduler.asked) < 2:
                await asyncio.sleep(0)
            refused = await client.post("/rerank", json=body)
            assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
            scheduler.hold.set()
            assert [answer.status_code for answer in await asyncio.gather(*held)] == [200, 200]
            assert (await client.post("/rerank", json=body)).status_code == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(("size", "status"), [(2000, 200), (2001, 413)])
def test_the_largest_body(size: int, status: int) -> None:
    content = b'{"query": "a", "documents": ["b"]}'.ljust(size)

    async def scenario() -> None:
        transport = httpx.ASGITransport(app_of(FakeScheduler(), max_body=2000))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/rerank", content=content, headers=headers)
            assert answer.status_code == status

    asyncio.run(scenario())
