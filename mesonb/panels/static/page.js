// What runs on a chart's page beside Bokeh: its theme and height, names that are clicked, and code that goes into a cell.
// Inlined by mesonb/panels/app.py, after fill.js; nothing is fetched.

// Where the address does not say which theme, the page around decides: a JupyterLab says it on its body.
if (!/[?&]theme=/.test(location.search)) {
  try {
    if (parent.document.body.dataset.jpThemeLight === "false") location.replace(location.href + "&theme=dark");
  } catch { /* a page of another origin around it: light */ }
}

// In a cell, be as high as what is drawn; in a tab (fill=1) the tab says how high.
if (window.frameElement && !/[?&]fill=1/.test(location.search)) setInterval(() => {
  const drawn = document.querySelector("[data-root-id] > *");
  const height = `${Math.min(Math.ceil(drawn?.getBoundingClientRect().bottom ?? 0) + 4, 900)}px`;
  if (drawn && frameElement.style.height !== height) frameElement.style.height = height;
}, 500);

// The kernel may end, restart, or be out of reach for a while: then the last picture stays, says so, and takes no clicks; where
// the address answers again, the page is loaded anew.
const AGAIN_MS = 2000;
const LOST = "No kernel answers: this is the last picture. It comes back by itself if its kernel does; after a restart, run its cell again.";
const drawing = new MutationObserver(listen);  // not a timer: of a page out of sight, timers hardly run
drawing.observe(document, { childList: true, subtree: true });

function listen() {
  const [drawn] = window.Bokeh?.documents ?? [];
  if (!drawn) return;
  drawing.disconnect();
  drawn.on_event("connection_lost", lost);
}

function lost() {
  if (document.querySelector(".lost")) return;
  for (const root of document.querySelectorAll("[data-root-id]")) root.inert = true;
  const said = Object.assign(document.createElement("p"), { className: "lost", role: "alert", textContent: LOST });
  document.body.prepend(said);
  setInterval(async () => {
    const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    if (answer?.ok) location.reload();
  }, AGAIN_MS);
}

// Bokeh draws each part in a shadow tree of its own, which the page's styles do not reach: a ring where the keyboard is, and no
// motion for who wants none. Some parts it gives no name that a screen reader could say. More of them come with a second moment.
const MANNERS = new CSSStyleSheet();
MANNERS.replaceSync(`
  :focus-visible { outline: 2px solid light-dark(#0072b2, #56b4e9) !important; outline-offset: 1px !important; }
  .bk-events:focus-visible { outline-offset: -2px !important; }
  @media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
`);
const NAMES = { "[role=slider]": "the moment that is shown, in seconds since the start", ".bk-events[tabindex]": "the chart" };
setInterval(() => dress(document), 500);

function dress(root) {
  if (!root.adoptedStyleSheets.includes(MANNERS)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, MANNERS];
  for (const [which, name] of Object.entries(NAMES)) for (const element of root.querySelectorAll(which)) element.ariaLabel ||= name;
  for (const element of root.querySelectorAll("*")) if (element.shadowRoot) dress(element.shadowRoot);
}

// A list of completions would stay open, over what is below it, when the keyboard goes on; Escape is how Bokeh closes it.
document.addEventListener("keydown", (event) => {
  const [from] = event.composedPath();
  if (event.key === "Tab" && from.getRootNode().querySelector(".bk-menu")) from.dispatchEvent(new KeyboardEvent("keyup", { key: "Escape" }));
});

// Bokeh draws each part in a shadow tree of its own, so a click is read from its path.
document.addEventListener("click", async (event) => {
  const button = event.composedPath().find((node) => node.dataset?.why || node.dataset?.cell);
  if (button?.dataset.why) ask(button.dataset.why);
  if (!button?.dataset.cell) return;
  const said = await putIntoCell(button.dataset.cell);
  button.textContent = said;
  button.setAttribute("aria-label", said);
});

function ask(name) {
  for (const model of Bokeh.documents[0]._all_models.values()) {
    if (model.name !== "picked") continue;
    model.value = "";
    model.value = name;
  }
}
