// Asks one client, named on the command line, what standard input says, and prints what it answered.

import { createCohere } from "@ai-sdk/cohere";
import { createTogetherAI } from "@ai-sdk/togetherai";
import { CohereRerank } from "@langchain/cohere";
import { Document } from "@langchain/core/documents";
import { rerank } from "ai";
import { CohereClient, CohereClientV2 } from "cohere-ai";
import { text } from "node:stream/consumers";

const aiSdk = async (model, { query, documents, topN }) => {
  const { ranking } = await rerank({ model, query, documents, topN, maxRetries: 0 });
  return ranking.map((hit) => [hit.originalIndex, hit.score, hit.document]);
};

const CLIENTS = {
  "cohere-ai v1": async ({ address, key, query, documents, topN }) => {
    const client = new CohereClient({ token: key, environment: address });
    const answer = await client.rerank({ model: "demo", query, documents, topN, returnDocuments: true });
    return answer.results.map((hit) => [hit.index, hit.relevanceScore, hit.document.text]);
  },
  "cohere-ai v2": async ({ address, key, query, documents, topN }) => {
    const client = new CohereClientV2({ token: key, environment: address });
    const answer = await client.rerank({ model: "demo", query, documents, topN });
    return answer.results.map((hit) => [hit.index, hit.relevanceScore, null]);
  },
  "@langchain/cohere": async ({ address, key, query, documents, topN }) => {
    const client = new CohereClient({ token: key, environment: address });
    const compressor = new CohereRerank({ client, model: "demo", topN });
    const given = documents.map((pageContent, index) => new Document({ pageContent, metadata: { index } }));
    const found = await compressor.compressDocuments(given, query);
    return found.map((one) => [one.metadata.index, one.metadata.relevanceScore, one.pageContent]);
  },
  "@ai-sdk/cohere": (request) => {
    const provider = createCohere({ apiKey: request.key, baseURL: `${request.address}/v2` });
    return aiSdk(provider.reranking("demo"), request);
  },
  "@ai-sdk/togetherai": (request) => {
    const provider = createTogetherAI({ apiKey: request.key, baseURL: `${request.address}/v1` });
    return aiSdk(provider.reranking("demo"), request);
  },
};

const request = JSON.parse(await text(process.stdin));
try {
  console.log(JSON.stringify({ hits: await CLIENTS[process.argv[2]](request) }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, status: error.statusCode }));
}
