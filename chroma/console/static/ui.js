/** The pieces that pages are made of. Text from records is always a text node: nothing here makes markup of it. */
import { h, render, Fragment } from "./vendor/preact.js";
import { useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";
import { LIST_OPS, OPS, PAGE_SIZES, Real, Refused, tell, call, chipsOf, collectionPath, count, filterOf, go, href, keysOf, onlyFilter, parse, place, show, turn, typeOf, typed, whereOf, withChip, write, mayWrite, copy } from "./core.js";
import { T } from "./texts.js";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);
export { render, Fragment, useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState };

/** The value of a signal; the component is drawn again when it changes. @template V @param {{value: V, subscribe: Function}} signal @returns {V} */
export function useSignal(signal) {
  const [, again] = useState(0);
  useEffect(() => {
    let first = true;
    return signal.subscribe(() => { if (!first) again((n) => n + 1); first = false; });
  }, [signal]);
  return signal.value;
}

/**
 * Load something. The request is aborted when the inputs change or the page is left, and late answers are dropped.
 * @param {(signal: AbortSignal) => Promise<any>} load @param {any[]} inputs
 */
export function useLoad(load, inputs) {
  const [state, set] = useState({ data: undefined, error: null, busy: true });
  const [turnNumber, again] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    set((old) => ({ ...old, busy: true }));
    Promise.resolve().then(() => load(stop.signal)).then(
      (data) => { if (!stop.signal.aborted) set({ data, error: null, busy: false }); },
      (error) => { if (!stop.signal.aborted) set({ data: undefined, error, busy: false }); },
    );
    return () => stop.abort();
  }, [...inputs, turnNumber]);
  return { ...state, reload: useCallback(() => again((n) => n + 1), []) };
}

/**
 * Run something on demand: `run(fn)` aborts what ran before. A write is never aborted, as nobody would know whether it
 * was applied: it ends when the server answers, also after the page or dialog is left.
 */
export function useAction(write = false) {
  const [state, set] = useState({ busy: false, error: null });
  const running = useRef(null), left = useRef(false);
  useEffect(() => () => { left.current = true; if (!write) running.current?.abort(); }, []);
  const run = useCallback(async (work) => {
    if (write && running.current) return undefined;
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    set({ busy: true, error: null });
    try {
      const result = await work(stop.signal);
      if (running.current === stop) set({ busy: false, error: null });
      return result;
    } catch (error) {
      if (running.current === stop) set({ busy: false, error: stop.signal.aborted ? null : error });
      if (write && left.current) tell(error.message);
      return undefined;
    } finally {
      if (running.current === stop) running.current = null;
    }
  }, []);
  const cancel = useCallback(() => { running.current?.abort(); running.current = null; set({ busy: false, error: null }); }, []);
  return { ...state, run, cancel, clear: () => set({ busy: false, error: null }) };
}

/** A bar that appears when something takes longer than 300 ms. */
export function Busy({ busy, onCancel = undefined }) {
  const [late, set] = useState(false);
  useEffect(() => {
    if (!busy) { set(false); return undefined; }
    const timer = setTimeout(() => set(true), 300);
    return () => clearTimeout(timer);
  }, [busy]);
  return late ? html`<div class="busy" role="status"><span class="busy-bar"></span><span>${T.working}</span>
    ${onCancel && html`<button type="button" onClick=${onCancel}>${T.cancel}</button>`}</div>` : null;
}

/** An error, in plain words. */
export function Problem({ error, what = "" }) {
  if (!error) return null;
  const text = error instanceof Refused && error.missing ? T.missingRoute(what)
    : error.status === 403 ? T.forbidden(error.message) : error.message;
  return html`<p class="problem" role="alert">${text}</p>`;
}

/** A modal dialog. Esc closes it, and so does another address. The focus goes back to where it was. */
export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(null), id = useId(), close = useRef(onClose);
  close.current = onClose;
  useLayoutEffect(() => {
    const dialog = ref.current, before = document.activeElement;
    dialog.showModal();
    const away = () => close.current();
    addEventListener("hashchange", away);
    return () => { removeEventListener("hashchange", away); dialog.close(); if (before instanceof HTMLElement && before.isConnected) before.focus(); };
  }, []);
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby=${id}
      onCancel=${(event) => { event.preventDefault(); onClose(); }}>
    <header><h2 id=${id}>${title}</h2><button type="button" class="plain" aria-label=${T.close} onClick=${onClose}>✕</button></header>
    ${children}</dialog>`;
}

/** A question whose answer changes something. `confirm` must be typed if it is given. */
export function Ask({ title, children, action, onDone, onClose, confirm = "", danger = true }) {
  const [text, set] = useState("");
  const work = useAction(true);
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${async (event) => {
      event.preventDefault();
      if (confirm && text !== confirm) return;
      const result = await work.run(() => action().then((value) => ({ value })));
      if (result) onDone(result.value);
    }}>
      ${children}
      ${confirm && html`<label>${T.typeName(confirm)}<input value=${text} autocomplete="off" onInput=${(event) => set(event.target.value)} /></label>`}
      <${Problem} error=${work.error} />
      <div class="row"><button class=${danger ? "danger" : "primary"} disabled=${work.busy || (confirm && text !== confirm)}>${title}</button>
        <button type="button" onClick=${onClose}>${work.busy ? T.close : T.cancel}</button><${Busy} busy=${work.busy} />${work.busy && html`<small>${T.goesOn}</small>`}</div>
    </form><//>`;
}

/** Pages of a list. */
export function Pager({ total, page, rows, onPage, onRows, sizes = PAGE_SIZES }) {
  const last = Math.max(1, Math.ceil(total / rows));
  return html`<nav class="pager" aria-label=${T.pages}>
    <button type="button" disabled=${page <= 1} onClick=${() => onPage(1)} aria-label=${T.firstPage}>«</button>
    <button type="button" disabled=${page <= 1} onClick=${() => onPage(page - 1)}>${T.previous}</button>
    <span>${T.pageOf(page, last)}</span>
    <button type="button" disabled=${page >= last} onClick=${() => onPage(page + 1)}>${T.next}</button>
    <button type="button" disabled=${page >= last} onClick=${() => onPage(last)} aria-label=${T.lastPage}>»</button>
    <label class="inline">${T.rowsPerPage}<select value=${rows} onChange=${(event) => onRows(Number(event.target.value))}>
      ${sizes.map((each) => html`<option value=${each} selected=${each === rows}>${each}</option>`)}</select></label>
  </nav>`;
}

/** A bar of a share between 0 and 1. SVG has its sizes as attributes, which the content policy allows. */
export function Bar({ share, label = "" }) {
  return html`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=${label} aria-hidden=${label ? undefined : "true"}>
    <rect class="bar-back" width="100" height="8" /><rect class="bar-front" width=${Math.max(0, Math.min(100, share * 100))} height="8" /></svg>`;
}

/** A value of metadata as text that does not grow without end. */
export const clipped = (value, length = 300) => {
  const text = value === null || value === undefined ? "" : show(value);
  return text.length > length ? `${text.slice(0, length)}…` : text;
};

/** A button that asks what to do with a value: filter by it, exclude it, copy it. */
export function Value({ name, value }) {
  const [open, set] = useState(false);
  if (value === undefined || value === null) return html`<span class="none" title=${T.noValue}>–</span>`;
  const list = Array.isArray(value);
  const pick = (op) => { go({ page: "data", params: { ...place.value.page === "data" ? place.value.params : {}, ...withChip({ key: name, op, value: list ? value[0] : value }), page: null } }); };
  return html`<button type="button" class="value type-${typeOf(value)}" title=${clipped(value)} onClick=${(event) => { event.stopPropagation(); set(true); }}>${clipped(value, 80)}</button>
    ${open && html`<${Dialog} title=${clipped(name, 60)} onClose=${() => set(false)}>
      <pre class="whole">${show(value)}</pre>
      <div class="row"><button type="button" class="primary" onClick=${() => pick(list ? "$contains" : "$eq")}>${T.only}</button>
      <button type="button" onClick=${() => pick(list ? "$not_contains" : "$ne")}>${T.exclude}</button>
      <button type="button" onClick=${() => { copy(show(value)); set(false); }}>${T.copy}</button></div><//>`}`;
}

// ---------------------------------------------------------------- the filter bar

/** What was typed as the value of a condition. @param {string} op @param {string} type @param {string} text */
function conditionValue(op, type, text) {
  if (op === "$exists") return typed("bool", text.trim() || "true");
  if (["$like", "$ilike", "$regex"].includes(op)) return text;
  if (LIST_OPS.has(op)) return text.trim().startsWith("[") ? parse(text) : text.split(",").map((each) => typed(type, each.trim()));
  return typed(type, text);
}

/** The filter of the address: chips, raw JSON, a box for documents. A second filter has its parameters behind a prefix. */
export function FilterBar({ info, matches = undefined, documents = true, prefix = "", name = T.filter }) {
  const all = useSignal(place).params;
  const params = { where: all[`${prefix}where`], text: all[`${prefix}text`], how: all[`${prefix}how`] };
  const keys = useMemo(() => keysOf(info), [info]);
  const list = useId();
  const [chip, setChip] = useState({ key: "", op: "$eq", type: "", text: "" });
  const [raw, setRaw] = useState(params.where ?? "");
  const [text, setText] = useState(params.text ?? "");
  const [problem, setProblem] = useState(null);
  useEffect(() => { setRaw(params.where ?? ""); setText(params.text ?? ""); }, [params.where, params.text]);
  let chips = null, broken = null;
  try { chips = params.where ? chipsOf(parse(params.where)) : []; } catch (error) { broken = error; }
  const types = keys.find((each) => each.key === chip.key)?.types ?? [];
  const type = chip.type || (types.length === 1 ? types[0] : guess(chip.text));
  const apply = (change) => { setProblem(null); turn({ page: null, ...Object.fromEntries(Object.entries(change).map(([key, value]) => [prefix + key, value])) }); };
  const add = (event) => {
    event.preventDefault();
    try {
      if (!chip.key) throw new Error(T.needKey);
      apply(withChip({ key: chip.key, op: chip.op, value: conditionValue(chip.op, type, chip.text) }, params));
      setChip({ key: "", op: "$eq", type: "", text: "" });
    } catch (error) { setProblem(error); }
  };
  return html`<section class="filters" aria-label=${name}>
    <div class="row">
      <ul class="chips">${chips?.map((each, index) => html`<li key=${index}><span><b>${clipped(each.key, 40)}</b> ${T.ops[each.op] ?? each.op} <span class="type-${typeOf(each.value)}">${clipped(each.value, 60)}</span></span>
        <button type="button" class="plain" aria-label=${T.removeCondition(each.key)} onClick=${() => { const where = whereOf(chips.filter((_, at) => at !== index)); apply({ where: where ? write(where) : null }); }}>✕</button></li>`)}
        ${chips === null && html`<li><span class="mono">${clipped(params.where, 120)}</span><button type="button" class="plain" aria-label=${T.removeFilter} onClick=${() => apply({ where: null })}>✕</button></li>`}</ul>
      ${matches !== undefined && html`<output class="matches">${T.matches(count(matches))}</output>`}
    </div>
    <div class="row">
      <form class="row" onSubmit=${add}>
        <label class="inline">${T.key}<input list=${list} value=${chip.key} size="14" onInput=${(event) => setChip({ ...chip, key: event.target.value })} /></label>
        <datalist id=${list}>${keys.slice(0, 500).map((each) => html`<option value=${each.key}>${each.types.join(", ")}</option>`)}</datalist>
        <label class="inline"><span class="hidden">${T.operator}</span><select onChange=${(event) => setChip({ ...chip, op: event.target.value })}>
          ${OPS.map((op) => html`<option value=${op} selected=${chip.op === op}>${T.ops[op]}</option>`)}</select></label>
        <label class="inline"><span class="hidden">${T.value}</span><input value=${chip.text} size="14" placeholder=${chip.op === "$exists" ? "true" : LIST_OPS.has(chip.op) ? "a, b, c" : T.value} onInput=${(event) => setChip({ ...chip, text: event.target.value })} /></label>
        <label class="inline"><span class="hidden">${T.type}</span><select onChange=${(event) => setChip({ ...chip, type: event.target.value })}>
          ${["text", "int", "float", "bool"].map((each) => html`<option value=${each} selected=${type === each}>${T.types[each]}</option>`)}</select></label>
        <button>${T.addCondition}</button>
      </form>
      ${documents && html`<form class="row" onSubmit=${(event) => { event.preventDefault(); apply({ text: text || null }); }}>
        <label class="inline">${T.documentsWith}<input type="search" id=${prefix ? undefined : "find"} value=${text} size="18" onInput=${(event) => setText(event.target.value)} /></label>
        <label class="inline"><span class="hidden">${T.how}</span><select onChange=${(event) => apply({ how: event.target.value === "regex" ? "regex" : null })}>
          <option value="contains" selected=${params.how !== "regex"}>${T.contains}</option><option value="regex" selected=${params.how === "regex"}>${T.regex}</option></select></label>
        <button>${T.apply}</button>
      </form>`}
      <details><summary>${T.rawJson}</summary>
        <form onSubmit=${(event) => { event.preventDefault(); try { if (raw.trim()) parse(raw); apply({ where: raw.trim() || null }); } catch (error) { setProblem(error); } }}>
          <label>${T.whereJson}<textarea rows="4" cols="50" spellcheck=${false} value=${raw} onInput=${(event) => setRaw(event.target.value)}></textarea></label>
          <button>${T.apply}</button></form></details>
      ${(params.where || params.text) && html`<button type="button" onClick=${() => apply({ where: null, text: null, how: null })}>${T.clearFilter}</button>`}
    </div>
    <${Problem} error=${problem ?? broken} />
  </section>`;
}
const guess = (text) => (/^[+-]?\d+$/.test(text.trim()) ? "int" : /^(true|false)$/.test(text.trim()) ? "bool" : text.trim() && Number.isFinite(Number(text)) ? "float" : "text");

/** The number of records that a filter finds. @param {string} path of the collection @param {any} filter @param {AbortSignal} [signal] */
export async function countOf(path, filter, signal) {
  if (!filter.ids) return call("POST", `${path}/chroma-arrow/count`, filter, { signal });
  return (await call("POST", `${path}/get`, { ...filter, include: [] }, { signal })).ids.length;
}

/** Count what a filter finds and then delete it. */
export function DeleteMatching({ info, filter: given, onClose, onDone }) {
  const [filter] = useState(given), [path] = useState(collectionPath(info.id)); // what was counted is what is deleted
  const found = useLoad((signal) => countOf(path, filter, signal), []);
  if (found.data === undefined) return html`<${Dialog} title=${T.deleteMatching} onClose=${onClose}><${Problem} error=${found.error} /><${Busy} busy=${found.busy} /><//>`;
  return html`<${Ask} title=${T.deleteCount(count(found.data))} onClose=${onClose}
    action=${() => call("POST", `${path}/delete`, { ...filter, missing_ok: filter.ids !== undefined })}
    onDone=${(answer) => { tell(T.deleted(count(answer.deleted))); onDone(); }} confirm=${String(found.data)}>
    <p>${T.deleteSays(count(found.data), info.name)}</p><pre class="whole">${write(filter.ids ? { ...filter, ids: [...filter.ids.slice(0, 20), ...(filter.ids.length > 20 ? [`… ${T.more(count(filter.ids.length - 20))}`] : [])] } : filter, "  ")}</pre><//>`;
}

export { keysOf, filterOf, onlyFilter, href, mayWrite, Real };
