/** Search by text, vector or record; two searches side by side; judgements. */
import { announce, call, collectionPath, copy, credentials, csvCell, download, filterOf, href, onlyFilter, opening, own, parse, python, serverUrl, shell, short, tell, turn, wholeOf, write, EXACT } from "../core.js";
import { Bar, Busy, FilterBar, Problem, Value, clipped, html, useEffect, useLayoutEffect, useLoad, useRef, useState } from "../ui.js";
import { T } from "../texts.js";

const MODES = ["dense", "hybrid", "lexical"], MOST = 250;

/** What a pane asks for. The second pane has its own settings and filter, whose parameters begin with b_. */
const settings = (params, side) => {
  const of = (name) => (side === "b" ? params[`b_${name}`] : params[name]);
  const mode = of("mode");
  return {
    exact: of("exact") === "1",
    mode: params.q && MODES.includes(mode) ? mode : "dense", // words need a text
    n: wholeOf(of("n") ?? params.n, 10, 1, MOST),
    candidates: wholeOf(of("candidates"), 0, 1),
    filter: filterOf({ where: of("where"), text: of("text"), how: of("how") }),
  };
};

/** What is near what: a vector, a record, or nothing where words alone are searched. */
async function targetOf(params, mode, path, signal) {
  if (params.like) return { query_ids: [params.like] };
  if (params.vector) {
    const read = parse(params.vector);
    if (!Array.isArray(read)) throw new Error(T.notVector);
    return { query_embeddings: [read] };
  }
  if (mode === "lexical") return {};
  try {
    return { query_embeddings: (await call("POST", `${path}/chroma-arrow/embed`, { texts: [params.q] }, { signal })).embeddings };
  } catch (error) {
    if (error.status === 409) throw new Error(T.cannotEmbed(error.body?.function?.name ?? error.body?.function ?? "", error.message));
    throw error;
  }
}

/** The query of the address as one text, which judgements belong to. */
const queryOf = (params) => params.q ?? params.like ?? params.vector ?? "";
const kindOf = (params) => (params.like ? "like" : params.vector ? "vector" : "q");

async function ask(info, params, side, signal) {
  const { exact, mode, n, filter, candidates } = settings(params, side);
  const path = collectionPath(info.id);
  const first = (wholeOf(params.page, 1) - 1) * n;
  /** @type {Record<string, any>} */
  const body = { ...await targetOf(params, mode, path, signal), ...filter, n_results: n, include: ["documents", "metadatas", "distances"], explain: true, ...(EXACT ? {} : { integers: "text" }) };
  if (exact) body.exact = true;
  if (candidates) body.candidates = candidates;
  if (params.max) body.max_distance = Number(params.max);
  if (first) body.offset = first;
  if (mode !== "dense") { body.mode = mode; body.query_texts = [params.q]; }
  const before = performance.now();
  const found = await call("POST", `${path}/query`, body, { signal });
  const took = performance.now() - before;
  const hits = found.ids[0].map((id, index) => ({ id, distance: found.distances?.[0]?.[index], lexical: found.lexical_scores?.[0]?.[index], document: found.documents?.[0]?.[index], metadata: found.metadatas?.[0]?.[index] ?? {} }));
  const parts = found.explain?.parts ?? [];
  const way = exact || mode === "lexical" || parts.length === 0 ? "" : parts.every((each) => each.indexed) ? T.byIndex : parts.some((each) => each.indexed) ? T.byBoth : T.byScan;
  return { hits, full: hits.length >= n, first, took, body, way, query: queryOf(params), kind: kindOf(params) };
}

/** Verdicts of this tab by collection, query and id. They outlive the page, and end with the sign-out. */
const verdicts = new Map();
addEventListener("signed-out", () => verdicts.clear());
const verdictKey = (kind, query, id) => JSON.stringify([kind, query, id]);

export function search({ info, at }) {
  const { params } = at;
  const [kind, setKind] = useState(kindOf(params));
  const [text, setText] = useState(params[kind] ?? "");
  const [, again] = useState(0);
  useEffect(() => { const next = params.q || params.like || params.vector ? kindOf(params) : kind; setKind(next); setText(params[next] ?? ""); }, [params.q, params.vector, params.like]);
  const asked = Boolean(params.q || params.vector || params.like);
  const inputs = [params.q, params.vector, params.like, params.n, params.max, params.page];
  const left = useLoad((signal) => (asked ? ask(info, params, "a", signal) : Promise.resolve(null)), [...inputs, params.mode, params.exact, params.candidates, params.where, params.text, params.how]);
  const right = useLoad((signal) => (asked && params.two ? ask(info, params, "b", signal) : Promise.resolve(null)), [...inputs, params.two, params.b_exact, params.b_mode, params.b_n, params.b_candidates, params.b_where, params.b_text, params.b_how]);
  useEffect(() => { if (left.data) announce(T.hits(left.data.hits.length)); }, [left.data]);
  const run = (event) => { event.preventDefault(); turn({ q: null, vector: null, like: null, page: null, [kind]: text }); };
  const judged = verdicts.get(info.id) ?? new Map();
  const judge = (of, id, good) => {
    const key = verdictKey(of.kind, of.query, id);
    if (judged.get(key) === good) judged.delete(key); else judged.set(key, good);
    verdicts.set(info.id, judged);
    again((n) => n + 1);
  };
  const { exact, mode, n, candidates } = settingsOrNone(params);
  const python_ = () => {
    const filter = Object.entries(filterOf(params)).map(([key, value]) => `, ${key}=${python(value)}`).join("");
    const what = params.q ? `query_texts=[${python(params.q)}]` : params.vector ? `query_embeddings=[${python(parse(params.vector))}]` : `query_ids=[${python(params.like)}]`;
    const more = [mode !== "dense" && `mode=${python(mode)}`, exact && "exact=True", params.max && `max_distance=${Number(params.max)}`, candidates && `candidates=${candidates}`].filter(Boolean).map((each) => `, ${each}`).join("");
    return `${opening(info.name)}found = collection.query(${what}, n_results=${n}${filter}${more})`;
  };
  const signedIn = () => (!credentials.value ? "" : credentials.value.startsWith("Bearer ") ? ' -H "Authorization: Bearer $CHROMA_TOKEN"' : ' -u "$CHROMA_USER"');
  const curl = () => `curl -s -X POST ${shell(`${serverUrl()}/api/v2${collectionPath(info.id)}/query`)}${signedIn()} -H 'Content-Type: application/json' --data ${shell(write(left.data.body))}`;
  const offer = (made) => { try { copy(made()); } catch (error) { tell(error.message); } };
  const csv = () => download(new Blob([`query,id,relevant\n${[...judged].map(([key, good]) => [...JSON.parse(key).slice(1), good ? 1 : 0].map(csvCell).join(",")).join("\n")}\n`], { type: "text/csv" }), `${info.name}-judgements.csv`);
  const set = (name, value) => turn({ [name]: value || null, page: null });
  return html`<div class="head"><h1>${T.pages_.search}</h1></div>
    <form class="search" onSubmit=${run}><div class="row">
      <label class="inline"><span class="hidden">${T.searchBy}</span><select onChange=${(event) => { setKind(event.target.value); setText(params[event.target.value] ?? ""); }}>
        ${["q", "vector", "like"].map((each) => html`<option value=${each} selected=${kind === each}>${T.searchKinds[each]}</option>`)}</select></label>
      <label class="grow inline"><span class="hidden">${T.searchKinds[kind]}</span><input class="grow" type="search" required value=${text} placeholder=${T.searchHints[kind]} onInput=${(event) => setText(event.target.value)} /></label>
      <button class="primary">${T.pages_.search}</button></div>
      <div class="row">
        <label class="inline">${T.results}<input type="number" min="1" max=${MOST} value=${n} onChange=${(event) => set("n", wholeOf(event.target.value, 10, 1, MOST))} /></label>
        ${kind === "q" && html`<${Mode} value=${mode} onChange=${(value) => set("mode", value === "dense" ? "" : value)} />`}
        <label class="inline">${T.maxDistance}<input type="number" step="any" min="0" value=${params.max ?? ""} onChange=${(event) => set("max", event.target.value)} /></label>
        <label class="inline" title=${T.candidatesSays}>${T.candidates}<input type="number" min="1" value=${candidates || ""} onChange=${(event) => set("candidates", event.target.value)} /></label>
        <label class="inline"><input type="checkbox" checked=${exact} onChange=${(event) => set("exact", event.target.checked && 1)} />${T.exact}</label>
        <label class="inline"><input type="checkbox" checked=${params.view === "table"} onChange=${(event) => turn({ view: event.target.checked ? "table" : null })} />${T.asTable}</label>
        <label class="inline"><input type="checkbox" checked=${params.two === "1"} onChange=${(event) => turn({ two: event.target.checked ? 1 : null, b_exact: event.target.checked ? 1 : null })} />${T.compareTwo}</label>
        ${asked && html`<button type="button" onClick=${() => offer(python_)}>${T.copyPython}</button>`}
        ${left.data && html`<button type="button" onClick=${() => offer(curl)}>${T.copyCurl}</button>`}
        ${judged.size > 0 && html`<button type="button" onClick=${csv}>${T.judgements(judged.size)}</button>`}</div></form>
    <${FilterBar} info=${info} />
    ${!asked && html`<p class="empty">${T.searchSays}</p>`}
    <${Panes} params=${params} info=${info} left=${left} right=${right} judged=${judged} judge=${judge} />
    ${left.data && (left.data.first > 0 || left.data.full) && html`<nav class="pager" aria-label=${T.pages}>
      <button type="button" disabled=${left.data.first === 0} onClick=${() => turn({ page: wholeOf(params.page, 1) > 2 ? wholeOf(params.page, 1) - 1 : null })}>${T.previous}</button>
      <span>${T.page(wholeOf(params.page, 1))}</span><button type="button" disabled=${!left.data.full} onClick=${() => turn({ page: wholeOf(params.page, 1) + 1 })}>${T.next}</button></nav>`}`;
}
/** The settings for the controls; a filter that cannot be read is told by the filter bar. */
const settingsOrNone = (params) => settings({ ...params, where: undefined }, "a");
const Mode = ({ value, onChange }) => html`<label class="inline">${T.mode}<select onChange=${(event) => onChange(event.target.value)}>${MODES.map((each) => html`<option value=${each} selected=${value === each}>${T.modes[each]}</option>`)}</select></label>`;

/** One or two lists of hits. Lines join the hits that both have. */
function Panes({ params, info, left, right, judged, judge }) {
  const around = useRef(null);
  const [lines, setLines] = useState([]);
  const [a, b] = [left.data, params.two ? right.data : null];
  useLayoutEffect(() => {
    const measure = () => {
      const box = around.current.getBoundingClientRect(), [one, other] = ["a", "b"].map((side) => new Map([...around.current.querySelectorAll(`[data-side=${side}]`)].map((each) => [each.dataset.id, each.getBoundingClientRect()])));
      const made = [];
      for (const [id, from] of one) {
        const to = other.get(id);
        if (to && to.left > from.right) made.push([from.right - box.left, from.top + from.height / 2 - box.top, to.left - box.left, to.top + to.height / 2 - box.top]);
      }
      setLines((old) => (JSON.stringify(old) === JSON.stringify(made) ? old : made));
    };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(around.current);
    return () => watch.disconnect();
  }, [a, b, params.view]);
  const shared = { query: params.q ?? "", judged, judge, table: params.view === "table" };
  return html`<div class=${params.two ? "two panes" : "panes"} ref=${around}>
    <${Hits} side="a" of=${left} other=${b} title=${params.two ? T.left : ""} ...${shared} />
    ${params.two && html`<div><${Second} params=${params} info=${info} /><${Hits} side="b" of=${right} other=${a} title=${T.right} ...${shared} /></div>
      <svg class="links" aria-hidden="true">${lines.map(([x1, y1, x2, y2]) => html`<line x1=${x1} y1=${y1} x2=${x2} y2=${y2} />`)}</svg>`}</div>`;
}

function Second({ params, info }) {
  const { exact, mode, n, candidates } = settings({ ...params, b_where: undefined }, "b");
  const set = (name, value) => turn({ [name]: value || null });
  return html`<div class="row"><label class="inline"><input type="checkbox" checked=${exact} onChange=${(event) => set("b_exact", event.target.checked && 1)} />${T.exact}</label>
    <label class="inline">${T.results}<input type="number" min="1" max=${MOST} value=${n} onChange=${(event) => set("b_n", wholeOf(event.target.value, 10, 1, MOST))} /></label>
    <label class="inline" title=${T.candidatesSays}>${T.candidates}<input type="number" min="1" value=${candidates || ""} onChange=${(event) => set("b_candidates", event.target.value)} /></label>
    ${params.q && html`<${Mode} value=${mode} onChange=${(value) => set("b_mode", value)} />`}</div>
    <${FilterBar} info=${info} prefix="b_" name=${T.filterRight} />`;
}

function Hits({ of, other, title, query, judged, judge, side, table }) {
  const hits = of.data?.hits ?? [];
  const most = Math.max(...hits.map((hit) => Number(hit.distance ?? 0)), 1e-9);
  const places = other ? new Map(other.hits.map((hit, index) => [hit.id, index + 1])) : null;
  const shared = places ? hits.filter((hit) => places.has(hit.id)).length : 0;
  const shown = { of: of.data, most, places, query, judged, judge, side };
  const keys = table ? [...new Set(hits.flatMap((hit) => Object.keys(hit.metadata)))].slice(0, 6) : [];
  return html`<section aria-label=${title || T.results}>${title && html`<h2>${title}</h2>`}
    <${Problem} error=${of.error} what=${T.pages_.search} /><${Busy} busy=${of.busy} />
    ${of.data && html`<p>${T.hits(hits.length)} · ${short(of.data.took, 3)} ms${of.data.way ? ` · ${of.data.way}` : ""}${places ? ` · ${T.shared(shared)}` : ""}</p>
    ${!table ? html`<ol class="hits">${hits.map((hit, index) => html`<${Card} key=${hit.id} hit=${hit} index=${index} ...${shown} />`)}</ol>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label=${`${title} ${T.results}`}><table class="data"><thead><tr><th scope="col" class="number">${T.rank}</th><th scope="col">${T.id}</th><th scope="col" class="number">${T.distance}</th><th scope="col">${T.document}</th>${keys.map((key) => html`<th scope="col">${clipped(key, 40)}</th>`)}<th scope="col">${T.verdict}</th></tr></thead>
      <tbody>${hits.map((hit, index) => html`<tr key=${hit.id} data-row data-side=${side} data-id=${hit.id} tabindex="-1"><td class="number">${of.data.first + index + 1}</td><th scope="row"><a href=${href({ page: "record", params: { id: hit.id } })}>${clipped(hit.id, 60)}</a></th>
        <td class="number">${hit.distance == null ? "–" : short(hit.distance)}</td><td class="document"><div dir="auto"><${Marked} text=${clipped(hit.document, 300)} query=${query} /></div></td>
        ${keys.map((key) => html`<td><${Value} name=${key} value=${own(hit.metadata, key)} /></td>`)}<td><div class="actions"><${Verdict} hit=${hit} ...${shown} /></div></td></tr>`)}</tbody></table></div>`}`}</section>`;
}

function Card({ hit, index, of, most, places, query, judged, judge, side }) {
  return html`<li data-row data-side=${side} data-id=${hit.id} tabindex="-1" class=${places?.has(hit.id) ? "shared" : ""}>
    <div class="row"><b>${of.first + index + 1}</b><a href=${href({ page: "record", params: { id: hit.id } })}>${clipped(hit.id, 60)}</a>
      ${hit.distance != null && html`<span class="distance"><${Bar} share=${Number(hit.distance) / most} /> ${short(hit.distance)}</span>`}
      ${hit.lexical != null && html`<span>${T.wordScore} ${short(hit.lexical)}</span>`}
      ${places && html`<span class="badge">${places.has(hit.id) ? T.otherPlace(places.get(hit.id)) : T.onlyHere}</span>`}
      <span class="space"></span>
      <a class="button small" href=${href({ page: "search", params: { ...onlyFilter(), like: hit.id } })}>${T.like}</a>
      <${Verdict} hit=${hit} of=${of} judged=${judged} judge=${judge} /></div>
    ${hit.document && html`<p class="text clip" dir="auto"><${Marked} text=${clipped(hit.document, 400)} query=${query} /></p>`}
    <div class="row wrap meta">${Object.entries(hit.metadata).slice(0, 8).map(([key, value]) => html`<span key=${key}><small>${clipped(key, 30)}</small> <${Value} name=${key} value=${value} /></span>`)}</div></li>`;
}
/** Whether a hit is relevant to the query that found it. */
const Verdict = ({ hit, of, judged, judge }) => [true, false].map((good) => html`<button type="button" class="small" aria-pressed=${judged.get(verdictKey(of.kind, of.query, hit.id)) === good} aria-label=${good ? T.relevant(clipped(hit.id, 60)) : T.irrelevant(clipped(hit.id, 60))} onClick=${() => judge(of, hit.id, good)}>${good ? "✓" : "✗"}</button>`);

/** A text with the words of the query marked. */
function Marked({ text, query }) {
  const words = query.match(/[\p{L}\p{N}]{3,}/gu) ?? [];
  if (!words.length) return text;
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu");
  return text.split(pattern).map((part, index) => (index % 2 ? html`<mark>${part}</mark>` : part));
}
