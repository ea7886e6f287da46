// node tour.mjs MODULES HOST PORT: every method of Chroma's JavaScript client, with known answers.
//
// MODULES is a node_modules folder with `chromadb` and `@chroma-core/chroma-bm25` in it. The server must allow reset. Prints a line per step,
// and fails if a public method was not called.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const [modules, host, port] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), "x.js"));
const chroma = require("chromadb");
const { ChromaBm25EmbeddingFunction } = require("@chroma-core/chroma-bm25");
const { AdminClient, ChromaClient, GroupBy, K, Knn, MaxK, MinK, ReadLevel, Rrf, Schema, Search } = chroma;
const { SparseVectorIndexConfig, StringInvertedIndexConfig } = chroma;

// methods for the collection's own ends, which JavaScript cannot hide
const INTERNAL =
  /^(path|embed|sparseEmbed|(get|apply)SparseEmbedding\w+|embed[A-Z]\w+|getSchema\w+|(prepare|validate)[A-Z]\w+)$/;

const used = new Map();

/** The object, remembering by its class which methods are called. */
function watched(inner) {
  const kind = inner.constructor.name;
  if (!used.has(kind)) used.set(kind, { calls: new Set(), methods: methods(inner) });
  return new Proxy(inner, {
    get(target, name) {
      used.get(kind).calls.add(name);
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function methods(object) {
  const found = [];
  for (let at = Object.getPrototypeOf(object); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof property.value === "function" && name !== "constructor" && !name.startsWith("_")) found.push(name);
    }
  }
  return found;
}

function equal(step, got, expected) {
  assert.deepEqual(got, expected, step);
  console.log(`ok     ${step}`);
}

async function raises(step, names, call) {
  await assert.rejects(call, (error) => {
    assert.ok([names].flat().includes(error.name), `${step}: ${error.name}: ${error.message}`);
    console.log(`ok     ${step}: ${error.name}`);
    return true;
  });
}

/** Counts of a, b and c. */
class Letters {
  name = "letters";
  async generate(texts) {
    return texts.map((text) => [..."abc"].map((letter) => text.split(letter).length - 1));
  }
  getConfig() {
    return { kind: "counts" };
  }
  static buildFromConfig() {
    return new Letters();
  }
}
chroma.registerEmbeddingFunction("letters", Letters);

const place = { host, port: Number(port), ssl: false };
const client = watched(new ChromaClient(place));

async function system() {
  equal("heartbeat", (await client.heartbeat()) > 1e18, true);
  equal("version", typeof (await client.version()), "string");
  equal("getPreflightChecks", (await client.getPreflightChecks()).max_batch_size >= 5461, true);
  equal("getMaxBatchSize", (await client.getMaxBatchSize()) >= 5461, true);
  equal("supportsBase64Encoding", await client.supportsBase64Encoding(), true);
  equal("getUserIdentity", (await client.getUserIdentity()).tenant, "default_tenant");
  await client.reset();
  equal("reset", await client.countCollections(), 0);
}

async function tenants() {
  const admin = watched(new AdminClient(place));
  await admin.createTenant({ name: "tenant one" });
  equal("getTenant", await admin.getTenant({ name: "tenant one" }), "tenant one");
  await raises("a taken tenant", "ChromaUniqueError", () => admin.createTenant({ name: "tenant one" }));
  await raises("an unknown tenant", "ChromaNotFoundError", () => admin.getTenant({ name: "nobody" }));
  await admin.createDatabase({ name: "stock", tenant: "tenant one" });
  equal("getDatabase", (await admin.getDatabase({ name: "stock", tenant: "tenant one" })).name, "stock");
  await raises("a taken database", "ChromaUniqueError", () =>
    admin.createDatabase({ name: "stock", tenant: "tenant one" }));
  await admin.createDatabase({ name: "other", tenant: "tenant one" });
  const names = async (page) => (await admin.listDatabases({ tenant: "tenant one", ...page })).map(({ name }) => name);
  equal("listDatabases", await names({}), ["other", "stock"]);
  equal("listDatabases(limit, offset)", await names({ limit: 1, offset: 1 }), ["stock"]);
  await admin.deleteDatabase({ name: "other", tenant: "tenant one" });
  equal("deleteDatabase", await names({}), ["stock"]);
}

async function collections() {
  const one = await client.createCollection({
    name: "one",
    metadata: { note: "x", n: 1, f: 1.5, t: true },
    configuration: { hnsw: { space: "cosine", ef_search: 33 } },
    embeddingFunction: null,
  });
  equal("createCollection", [one.name, one.metadata], ["one", { note: "x", n: 1, f: 1.5, t: true }]);
  equal("configuration", [one.configuration.hnsw.space, one.configuration.hnsw.ef_search], ["cosine", 33]);
  await raises("a taken name", "ChromaUniqueError", () =>
    client.createCollection({ name: "one", embeddingFunction: null }));
  equal("getOrCreateCollection", (await client.getOrCreateCollection({ name: "one", embeddingFunction: null })).id, one.id);
  equal("getCollection", (await client.getCollection({ name: "one" })).id, one.id);
  equal("getCollectionById", (await client.getCollectionById(one.id)).name, "one");
  const crn = "default_tenant:default_database:one";
  await raises("getCollectionByCrn", ["ChromaServerError", "ChromaNotFoundError"], () => client.getCollectionByCrn(crn));
  await raises("an unknown collection", "ChromaNotFoundError", () => client.getCollection({ name: "two" }));
  await one.modify({ name: "uno", metadata: { note: "y" }, configuration: { hnsw: { ef_search: 44 } } });
  const changed = await client.getCollection({ name: "uno" });
  equal("modify", [changed.metadata, changed.configuration.hnsw.ef_search], [{ note: "y" }, 44]);
  await client.createCollection({ name: "two", embeddingFunction: null });
  equal("getCollections", (await client.getCollections(["uno", "two"])).map(({ name }) => name), ["uno", "two"]);
  equal("listCollections", (await client.listCollections()).map(({ name }) => name).sort(), ["two", "uno"]);
  equal("listCollections(limit)", (await client.listCollections({ limit: 1, offset: 1 })).length, 1);
  equal("countCollections", await client.countCollections(), 2);
  equal("collection(id)", await client.collection(one.id).count(), 0);
  await client.deleteCollection({ name: "uno" });
  await client.deleteCollection({ name: "two" });
  await raises("a handle on what is gone", "ChromaNotFoundError", () => one.count());
  await raises("deleting what is gone", "ChromaNotFoundError", () => client.deleteCollection({ name: "uno" }));
}

async function records() {
  const things = watched(await client.createCollection({ name: "things", embeddingFunction: new Letters() }));
  await things.add({
    ids: ["a", "b", "c"],
    documents: ["a", "abb", "abcc é"],
    metadatas: [{ n: 1, s: "ä€", t: true }, { n: 2.5, tags: ["p", "q"] }, { gone: null }],
  });
  equal("add, count", await things.count(), 3);
  await things.upsert({ ids: ["d", "e"], embeddings: [[0, 0, 7], [1, 1, 1]], uris: ["file:d", "file:e"] });
  await things.update({ ids: ["d", "unknown"], documents: ["bbb", "x"], metadatas: [{ m: 1 }, { x: 1 }] });
  const all = await things.get({ include: ["documents", "metadatas", "embeddings", "uris"] });
  equal("upsert, get", all.ids, ["a", "b", "c", "d", "e"]);
  equal("update", [all.documents[3], all.metadatas[3], all.embeddings[3]], ["bbb", { m: 1 }, [0, 3, 0]]);
  equal("uris", all.uris.slice(2), [null, "file:d", "file:e"]);
  equal("metadatas", all.metadatas.slice(0, 3), [{ n: 1, s: "ä€", t: true }, { n: 2.5, tags: ["p", "q"] }, null]);
  equal("get(limit, offset)", (await things.get({ limit: 2, offset: 1 })).ids, ["b", "c"]);
  equal("get(ids)", (await things.get({ ids: ["c"] })).rows()[0].document, "abcc é");
  equal("peek", (await things.peek({ limit: 1 })).ids, ["a"]);
  const found = await things.query({ queryTexts: ["a", "ccc"], nResults: 2, include: ["distances", "embeddings"] });
  equal("query", found.ids, [["a", "e"], ["c", "e"]]);
  equal("query(distances)", found.distances[0], [0, 2]);
  const near = { queryEmbeddings: [[1, 0, 0]], nResults: 5 };
  equal("query(ids)", (await things.query({ ...near, ids: ["b", "d"] })).ids[0].sort(), ["b", "d"]);
  equal("query(where)", (await things.query({ ...near, where: { n: 1 } })).ids, [["a"]]);
  const ids = async (filter) => (await things.get(filter)).ids;
  equal("where", await ids({ where: { n: { $gte: 2 } } }), ["b"]);
  equal("where $or", await ids({ where: { $or: [{ n: 1 }, { m: 1 }] } }), ["a", "d"]);
  equal("where $in", await ids({ where: { n: { $in: [1, 7] } } }), ["a"]);
  equal("where of keys", await ids({ where: K("n").gt(1).or(K("s").eq("ä€")).toJSON() }), ["a", "b"]);
  equal("whereDocument", await ids({ whereDocument: { $contains: "abb" } }), ["b"]);
  equal("whereDocument $regex", await ids({ whereDocument: { $regex: "b+c" } }), ["c"]);
  await raises("a bad filter", ["ChromaClientError", "ChromaValueError"], () => things.get({ where: { n: { $foo: 1 } } }));
  await raises("another dimension", "ChromaClientError", () => things.add({ ids: ["f"], embeddings: [[1, 2]] }));
  await raises("a duplicate id", "ChromaValueError", () =>
    things.add({ ids: ["f", "f"], embeddings: [[1, 2, 3], [1, 2, 3]] }));
  equal("delete(ids)", (await things.delete({ ids: ["e"] })).deleted, 1);
  equal("delete(where, limit)", (await things.delete({ where: { n: { $gte: 0 } }, limit: 1 })).deleted, 1);
  equal("delete(whereDocument)", (await things.delete({ whereDocument: { $contains: "bbb" } })).deleted, 1);
  equal("what is left", await ids({}), ["b", "c"]);
  await things.modify({ name: "renamed" });
  equal("modify", (await client.getCollection({ name: "renamed" })).name, "renamed");
  // of the hosted service: it works, or the answer says that it does not
  const copy = await things.fork({ name: "copy" });
  equal("fork", [copy.name, await copy.count()], ["copy", 2]);
  equal("getIndexingStatus", (await things.getIndexingStatus()).total_ops, 2);
  const best = await things.search(new Search().rank(Knn({ query: [0, 1, 0] })).limit(1).selectAll());
  equal("search", best.rows()[0].map((row) => row.id), ["b"]);
  await raises("forkCount", "ChromaServerError", () => things.forkCount());
}

const SHELF = {
  ids: ["a", "b", "c", "d", "e", "f", "g", "h"],
  embeddings: [[0, 0], [1, 0], [0, 2], [2, 2], [3, 0], [0, 4], [1, 1], [4, 4]],
  metadatas: [
    { kind: "fruit", price: 3, secret: "x", sp: { indices: [1, 2], values: [1, 2] } },
    { kind: "fruit", price: 1, sp: { indices: [1], values: [2] } },
    { kind: "fruit", price: 2.5, sp: { indices: [3], values: [1] } },
    { kind: "tool", price: 10, sp: { indices: [2, 4], values: [1, 0.5] } },
    { kind: "tool" },
    { kind: "tool", price: 7, sp: { indices: [1, 3, 4], values: [0.5, 2, 1] } },
    { price: 1, sp: { indices: [], values: [] } },
    null,
  ],
};

/** Ids with scores, to five digits. */
function scored(rows) {
  return rows.map(({ id, score }) => [id, Number(score.toFixed(5))]);
}

async function searches() {
  const sparse = new SparseVectorIndexConfig({});
  const schema = new Schema().createIndex(sparse, "sp").deleteIndex(new StringInvertedIndexConfig(), "secret");
  const shelf = await client.createCollection({ name: "shelf", schema, embeddingFunction: null });
  await shelf.add(SHELF);
  const stored = (await client.getCollection({ name: "shelf" })).schema;
  equal("a schema is kept", stored.keys.sp.sparseVector.sparseVectorIndex.enabled, true);
  equal("keys are found", stored.keys.kind.string.stringInvertedIndex.enabled, true);
  const back = (await shelf.get()).metadatas.map((metadata) => metadata?.sp);
  equal("sparse vectors are read back", back, SHELF.metadatas.map((metadata) => metadata?.sp));

  const ranked = async (search) => scored((await shelf.search(search.select(K.SCORE))).rows()[0]);
  const dense = (options) => Knn({ query: [0, 0], limit: 8, ...options });
  const lexical = (options) => Knn({ query: { indices: [1, 2], values: [1, 0.5] }, key: "sp", limit: 8, ...options });
  const found = [["a", -1], ["b", -1], ["d", 0.5], ["f", 0.5]];
  equal("sparse Knn", await ranked(new Search().rank(lexical())), found);
  const tools = new Search().rank(lexical()).where(K("kind").eq("tool"));
  equal("sparse Knn, filtered", await ranked(tools), [["d", 0.5], ["f", 0.5]]);
  const sum = [["a", -1], ["b", 0], ["g", 3], ["c", 5], ["d", 8.5], ["e", 10], ["f", 16.5], ["h", 33]];
  equal("arithmetic", await ranked(new Search().rank(dense().add(lexical({ default: 1 })))), sum);
  const fused = Rrf({ ranks: [dense, lexical].map((knn) => knn({ returnRank: true, default: 100 })) });
  const fusedScores = [["a", -0.03333], ["b", -0.03279], ["d", -0.03175], ["f", -0.03102]];
  equal("Rrf", await ranked(new Search().rank(fused).limit(4)), fusedScores);
  const grouped = (aggregate) => ranked(new Search().rank(dense()).groupBy(new GroupBy([K("kind")], aggregate)));
  equal("GroupBy, MinK", await grouped(new MinK([K.SCORE], 1)), [["a", 0], ["g", 2], ["d", 8]]);
  equal("GroupBy, MaxK", await grouped(new MaxK([K("price")], 1)), [["a", 0], ["g", 2], ["d", 8]]);
  const pages = await shelf.search([new Search().limit(2, 1), new Search({ where: { kind: "fruit" } })]);
  equal("a batch", pages.ids, [["b", "c"], ["a", "b", "c"]]);
  const level = { readLevel: ReadLevel.INDEX_ONLY };
  equal("read levels", (await shelf.search(new Search({ where: { kind: "tool" } }), level)).ids, [["d", "e", "f"]]);
  await shelf.update({ ids: ["e"], metadatas: [{ sp: { indices: [2], values: [4] } }] });
  const first = new Search().rank(lexical()).limit(3);
  equal("an updated sparse vector", await ranked(first), [["a", -1], ["b", -1], ["e", -1]]);

  await raises("an index that is off", "ChromaClientError", () => shelf.get({ where: { secret: "x" } }));
  await raises("a key without an index", "ChromaClientError", () => ranked(new Search().rank(lexical({ key: "kind" }))));
  await raises("another dimension", "ChromaClientError", () => ranked(new Search().rank(dense({ query: [1] }))));
}

async function words() {
  const bm25 = new SparseVectorIndexConfig({
    sourceKey: K.DOCUMENT, embeddingFunction: new ChromaBm25EmbeddingFunction(), bm25: true,
  });
  const documents = ["red apple pie", "green apple", "banana split", "red hammer", "saw", null, "apple", "red red apple"];
  const given = { name: "words", schema: new Schema().createIndex(bm25, "lex"), embeddingFunction: null };
  const made = await client.createCollection(given);
  const texts = documents.flatMap((document, row) => (document === null ? [] : [row]));
  const picked = (column) => texts.map((row) => column[row]);
  await made.add({ ids: picked(SHELF.ids), embeddings: picked(SHELF.embeddings), documents: picked(documents) });
  await made.add({ ids: ["f"], embeddings: [[0, 4]], metadatas: [{ note: "fox" }] });
  const apple = (await made.get({ ids: ["g"] })).metadatas[0].lex;
  equal("a BM25 vector", [apple.indices, Math.fround(apple.values[0])], [[1085451005], Math.fround(1.6877434)]);
  const opened = await client.getCollection({ name: "words" });
  const expected = [["g", -0.97441], ["b", -0.9691], ["a", -0.96382], ["h", -0.96382]];
  const apples = (key) => opened.search(new Search().rank(Knn({ query: "Apples!", key })).select(K.SCORE));
  equal("BM25 of a text", scored((await apples("lex")).rows()[0]), expected);
  equal("BM25 by a key object", scored((await apples(K("lex"))).rows()[0]), expected);
  await opened.upsert({ ids: ["e"], embeddings: [[3, 0]], documents: ["apple pie"] });
  const pie = await opened.search(new Search().rank(Knn({ query: "pies", key: "lex" })));
  equal("BM25 after an upsert", pie.ids, [["e", "a"]]);
}

async function many() {
  const bulk = await client.createCollection({ name: "bulk", embeddingFunction: null });
  const ids = Array.from({ length: 5000 }, (_, row) => `r${row}`);
  const embeddings = ids.map((_, row) => Array.from(Float32Array.from([row / 7, Math.sin(row), 1 / (row + 1)])));
  await bulk.add({ ids, embeddings, metadatas: ids.map((_, row) => ({ row })) });
  const back = await bulk.get({ include: ["embeddings", "metadatas"] });
  equal("5,000 records in a call", back.ids, ids);
  equal("their vectors, bit by bit", back.embeddings.map((vector) => vector.map(Math.fround)), embeddings);
}

await system();
await tenants();
await collections();
await records();
await searches();
await words();
await many();
await client.reset();
equal("it is empty", await client.countCollections(), 0);
for (const [kind, { calls, methods }] of used) {
  equal(`every method of ${kind}`, methods.filter((name) => !calls.has(name) && !INTERNAL.test(name)), []);
}
console.log("the tour is complete");
