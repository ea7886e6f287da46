/** The frame of the console: sign-in, navigation, keys. A page's module is loaded when it is first opened. */
import { BASE, announcement, call, credentials, go, href, identity, mayAdmin, onlyFilter, own, place, remember, scopePath, signIn, signOut, singleKeys, theme, toCopy, toast } from "./core.js";
import { Busy, Dialog, Problem, html, render, useEffect, useErrorBoundary, useLoad, useRef, useSignal, useState } from "./ui.js";
import { T } from "./texts.js";

/** Page, its module, whether it shows one collection, the key that opens it after g. */
const PAGES = {
  overview: ["browse", false, "o"], data: ["browse", true, "d"], record: ["browse", true, ""], search: ["search", true, "s"],
  keys: ["keys", true, "k"], map: ["map", true, "m"], duplicates: ["look", true, "u"], quality: ["look", true, "q"],
  io: ["io", true, "i"], sql: ["look", false, "l"], server: ["look", false, "v"], help: ["look", false, "h"],
};
const loaded = {};
const load = (name) => (loaded[name] ??= import(`./pages/${name}.js`));

/** Who am I? null means that one has to sign in. */
async function whoAmI() {
  try { identity.value = await call("GET", "/auth/identity"); } catch (error) {
    if (error.status === 401 || error.status === 403) identity.value = null; else throw error;
  }
}

/** `chroma browse` puts a ticket for one use into the fragment. It is taken out of the address before anything else. */
function takeTicket() {
  const given = new URLSearchParams(/^#(ticket=.*)$/.exec(location.hash)?.[1] ?? "");
  const to = given.get("to") ?? "";
  if (!given.has("ticket")) return null;
  history.replaceState(null, "", location.pathname + location.search + (to ? `#${to.replace(/^#/, "")}` : ""));
  dispatchEvent(new HashChangeEvent("hashchange"));
  return given.get("ticket");
}
/** Exchange a ticket for the credentials of this tab. @param {string} ticket */
async function redeem(ticket) {
  const { token } = await call("POST", "/chroma-arrow/ticket", { ticket }, { anonymous: true });
  signIn(`Bearer ${token}`);
}

function SignIn({ why }) {
  const [kind, setKind] = useState("token");
  const [token, setToken] = useState(""), [user, setUser] = useState(""), [password, setPassword] = useState("");
  const [problem, setProblem] = useState(why);
  const submit = async (event) => {
    event.preventDefault();
    const pair = new TextEncoder().encode(`${user}:${password}`);
    signIn(kind === "token" ? `Bearer ${token.trim()}` : `Basic ${btoa(String.fromCharCode(...pair))}`);
    setProblem(null);
    try {
      await whoAmI();
      if (identity.value === null) { signIn(null); setProblem(new Error(T.wrongCredentials)); }
    } catch (error) { signIn(null); setProblem(error); }
  };
  return html`<main id="main" class="sign-in" tabindex="-1"><h1>${T.signIn}</h1><p>${T.signInSays}</p>
    <form onSubmit=${submit}>
      <fieldset class="row"><legend>${T.credentials}</legend>
        ${["token", "password"].map((each) => html`<label class="inline"><input type="radio" name="kind" checked=${kind === each} onChange=${() => setKind(each)} />${T.kinds[each]}</label>`)}</fieldset>
      ${kind === "token" ? html`<label>${T.token}<input type="password" autocomplete="off" required value=${token} onInput=${(event) => setToken(event.target.value)} /></label>`
        : html`<label>${T.user}<input autocomplete="username" required value=${user} onInput=${(event) => setUser(event.target.value)} /></label>
          <label>${T.password}<input type="password" autocomplete="current-password" required value=${password} onInput=${(event) => setPassword(event.target.value)} /></label>`}
      <${Problem} error=${problem} /><button class="primary">${T.signIn}</button>
    </form></main>`;
}

function Keys({ onClose }) {
  return html`<${Dialog} title=${T.keyboard} onClose=${onClose}>
    <dl class="keys">${T.shortcuts.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl><${KeySwitch} /><//>`;
}
export function KeySwitch() {
  const on = useSignal(singleKeys);
  return html`<label class="inline"><input type="checkbox" checked=${on} onChange=${(event) => { singleKeys.value = event.target.checked; remember("keys", event.target.checked ? "on" : "off"); }} />${T.singleKeys}</label>`;
}

/** Keys of one letter, outside fields and dialogs. */
function useKeys(showHelp) {
  const waiting = useRef(0);
  useEffect(() => {
    const pressed = (event) => {
      const field = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
      if (field || event.ctrlKey || event.metaKey || event.altKey || !singleKeys.value) return;
      const { key } = event;
      if (Date.now() - waiting.current < 1500) {
        waiting.current = 0;
        const page = Object.keys(PAGES).find((each) => PAGES[each][2] === key);
        if (page && (!PAGES[page][1] || place.value.collection !== null)) { event.preventDefault(); open(page); }
      } else if (key === "g") waiting.current = Date.now();
      else if (key === "?") { event.preventDefault(); showHelp(); }
      else if (key === "/") {
        event.preventDefault();
        const box = document.getElementById("find");
        if (box) box.focus(); else if (place.value.collection !== null) open("search");
      } else if (key === "j" || key === "k") {
        const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-row]")]);
        const at = rows.indexOf(document.activeElement?.closest("[data-row]"));
        rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + (key === "j" ? 1 : -1)))]?.focus();
      } else if (key === "x") /** @type {HTMLElement} */ (document.activeElement?.closest("[data-row]")?.querySelector("input[type=checkbox]"))?.click();
      else if (key === "e") /** @type {HTMLElement} */ (document.querySelector("[data-edit]"))?.click();
      else if (key === "Enter" && event.target.matches?.("[data-row]")) event.target.querySelector("a")?.click();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
const carries = new Set(["data", "search", "map", "keys", "io"]);
const target = (page) => ({ page, ...(PAGES[page]?.[1] ? {} : {}), params: carries.has(page) && carries.has(place.value.page) ? onlyFilter() : {} });
const open = (page) => go(target(page));

function Frame() {
  const at = useSignal(place), who = useSignal(identity), look = useSignal(theme), shownText = useSignal(toCopy);
  const [help, setHelp] = useState(false);
  const [failed, setFailed] = useState(null), [why, setWhy] = useState(null);
  useEffect(() => { if (who) setWhy(null); }, [who]);
  const [ticket, setTicket] = useState(credentials.value ? taken : null);
  useKeys(() => setHelp(true));
  useEffect(() => {
    const first = taken && !credentials.value ? redeem(taken).catch((error) => { setWhy(error); identity.value = null; }) : Promise.resolve();
    first.then(() => (identity.value === null ? undefined : whoAmI())).catch(setFailed);
  }, []);
  useEffect(() => { document.title = `${T.pages_[at.page] ?? at.page}${at.collection === null ? "" : ` · ${at.collection}`} · ${T.title}`; }, [at]);
  useEffect(() => { if (document.activeElement === document.body || document.activeElement === null) window.scrollTo(0, 0); }, [at.page, at.collection]);
  const link = (page) => html`<a href=${href(target(page))} aria-current=${at.page === page || (page === "data" && at.page === "record") ? "page" : undefined}>${T.pages_[page]}</a>`;
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>${T.skip}</a>
    <header class="top"><a class="brand" href=${href({ page: "overview", collection: null })}>${T.title}</a>
      ${who && html`<nav aria-label=${T.mainNav}>${Object.keys(PAGES).filter((page) => !PAGES[page][1] && (page !== "server" || mayAdmin())).map((page) => html`<a href=${href({ page, collection: null })} aria-current=${at.page === page ? "page" : undefined}>${T.pages_[page]}</a>`)}</nav>`}
      <span class="space"></span>
      <label class="inline"><span class="hidden">${T.theme}</span><select onChange=${(event) => { theme.value = event.target.value; remember("theme", event.target.value === "system" ? null : event.target.value); }}>
        ${["system", "light", "dark", "contrast"].map((each) => html`<option value=${each} selected=${look === each}>${T.themes[each]}</option>`)}</select></label>
      ${who && html`<button type="button" class="plain" onClick=${() => setHelp(true)} aria-label=${T.keyboard}>?</button>`}
      ${who && credentials.value && html`<span class="who">${who.user_id || T.someone}${who.role ? ` (${who.role})` : ""}</span><button type="button" onClick=${signOut}>${T.signOut}</button>`}
    </header>
    <${Said} what=${announcement} shown=${false} /><${Said} what=${toast} shown=${true} />
    ${failed ? html`<main id="main" tabindex="-1"><${Problem} error=${failed} what=${T.title} /></main>` : who === undefined ? html`<main id="main" tabindex="-1"><${Busy} busy=${true} /></main>`
      : who === null ? html`<${SignIn} why=${why} />`
        : html`${at.collection !== null && html`<nav class="tabs" aria-label=${T.collectionNav}>
            <span class="crumbs"><a href=${href({ page: "overview", collection: null })}>${at.tenant} / ${at.database}</a> / <b>${at.collection}</b></span>
            ${Object.keys(PAGES).filter((page) => PAGES[page][1] && page !== "record").map(link)}</nav>`}
          <main id="main" tabindex="-1"><${Guard} key=${pageKey(at)} at=${at} /></main>`}
    ${ticket && html`<${Replace} ticket=${ticket} onClose=${() => setTicket(null)} />`}
    ${shownText !== null && html`<${Dialog} title=${T.copyByHand} onClose=${() => { toCopy.value = null; }}><label>${T.copyByHandSays}<textarea rows="8" class="mono" readonly autofocus ref=${(each) => each?.select()} value=${shownText}></textarea></label><//>`}
    ${help && html`<${Keys} onClose=${() => setHelp(false)} />`}`;
}

/** What was said last: read out, and shown for some seconds if it is the answer to an action. */
function Said({ what, shown }) {
  const { text, number } = useSignal(what);
  const [over, setOver] = useState(0);
  useEffect(() => { const timer = setTimeout(() => setOver(number), 6000); return () => clearTimeout(timer); }, [number]);
  return html`<div class=${shown && number && over !== number ? "toast" : "hidden"} role="status" aria-live="polite"><span key=${number}>${text}</span></div>`;
}

/** A link would replace the credentials of this tab: that is asked first. */
function Replace({ ticket, onClose }) {
  const [problem, setProblem] = useState(null);
  const replace = () => redeem(ticket).then(() => location.reload(), setProblem);
  return html`<${Dialog} title=${T.replaceCredentials} onClose=${onClose}><p>${T.replaceCredentialsSays}</p><${Problem} error=${problem} what=${T.signIn} />
    <div class="row"><button type="button" class="primary" onClick=${replace}>${T.signIn}</button><button type="button" onClick=${onClose}>${T.keepCredentials}</button></div><//>`;
}

/** Pages are drawn anew for another collection, and for another record: an edit never moves to another one. */
const pageKey = (at) => JSON.stringify([at.tenant, at.database, at.collection, at.page, at.page === "record" ? at.params.id : null]);

/** A page, or why it could not be drawn. */
function Guard({ at }) {
  const [broken, again] = useErrorBoundary();
  useEffect(() => { if (broken) again(); }, [at]);
  return broken ? html`<p class="problem" role="alert">${T.brokenAddress(broken.message)} <a href=${href({ params: {} })}>${T.withoutParameters}</a></p>` : html`<${Page} at=${at} />`;
}

/** The page of the address, with its collection if it has one. */
function Page({ at }) {
  const [module, single] = own(PAGES, at.page) ?? [null, false];
  const code = useLoad(() => (module ? load(module) : Promise.resolve(null)), [module]);
  const info = useLoad((signal) => (single ? call("GET", `${scopePath(at)}/collections/${encodeURIComponent(at.collection)}`, undefined, { signal }) : Promise.resolve(null)), [at.collection, at.database, at.tenant]);
  if (!module) return html`<p class="problem">${T.noPage(at.page)} <a href=${href({ page: "overview", collection: null, params: {} })}>${T.pages_.overview}</a></p>`;
  if (single && at.collection === null) return html`<p class="problem">${T.needCollection}</p>`;
  if (code.error || info.error) return html`<${Problem} error=${code.error ?? info.error} what=${T.pages_[at.page]} />`;
  if (!code.data || info.data === undefined) return html`<${Busy} busy=${true} />`;
  const View = code.data[at.page];
  return html`<${View} info=${info.data} at=${at} reloadInfo=${info.reload} />`;
}

const taken = takeTicket();
render(html`<${Frame} />`, document.getElementById("app"));
document.documentElement.dataset.base = BASE;
