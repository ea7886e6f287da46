// node tour.mjs MODULES HOST PORT: every method of Chroma's JavaScript client, with known answers.
//
// MODULES is a node_modules folder with `chromadb` in it. The server must allow reset. Prints a line per step,
// and fails if a public method was not called.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const [modules, host, port] = process.argv.slice(2);
const chroma = createRequire(path.join(path.resolve(modules), "x.js"))("chromadb");
const { AdminClient, ChromaClient, K, Knn, Search } = chroma;

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
await many();
await client.reset();
equal("it is empty", await client.countCollections(), 0);
for (const [kind, { calls, methods }] of used) {
  equal(`every method of ${kind}`, methods.filter((name) => !calls.has(name) && !INTERNAL.test(name)), []);
}
console.log("the tour is complete");
