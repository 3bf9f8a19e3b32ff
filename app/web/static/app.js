// @ts-check
// Keeps the page true: applies the server's changes, says when news stop coming. All drawing is done by the server.
import { showFlatten } from "./controls.js";

const STALE_MS = 3000; // without news for this long the page says so
const RETRY_MS = 2000;

/** @typedef {Record<string, string>} Named */
/** @type {Map<string, string>} */
const cells = new Map();
let heard = Date.now();

/** @param {ParentNode} inside */
function fillCells(inside) {
  for (const place of inside.querySelectorAll("[data-c]")) {
    place.innerHTML = cells.get(place.getAttribute("data-c") ?? "") ?? "";
  }
}

/** The server escapes every text; the security policy lets no script in here. @param {{s?: Named, c?: Named, f?: Named}} news */
function apply({ s = {}, c = {}, f = {} }) {
  for (const [name, html] of Object.entries(c)) cells.set(name, html);
  for (const [name, html] of Object.entries(s)) {
    const slot = document.querySelector(`[data-s="${name}"]`);
    if (!slot) continue;
    slot.innerHTML = html;
    fillCells(slot);
  }
  for (const [name, html] of Object.entries(c)) {
    for (const place of document.querySelectorAll(`[data-c="${CSS.escape(name)}"]`)) {
      if (place.innerHTML !== html) place.innerHTML = html;
    }
  }
  if (Object.keys(f).length) applyFlags(f);
}

/** @param {Named} flags */
function applyFlags(flags) {
  const body = document.body.dataset;
  if (flags.version && body.version && flags.version !== body.version) location.reload();
  Object.assign(body, flags);
  const state = document.getElementById("state")?.textContent ?? "";
  document.title = `${state} · Plimsoll`;
  showFlatten();
}

function watchSilence() {
  const banner = document.getElementById("stale");
  if (!banner) return;
  const silent = Date.now() - heard;
  banner.hidden = silent < STALE_MS;
  document.body.classList.toggle("old", !banner.hidden);
  if (!banner.hidden) banner.textContent = `No news for ${Math.round(silent / 1000)} s: what you see is old. Trying again…`;
}

function listen() {
  const stream = new EventSource("/api/live");
  stream.onmessage = (event) => {
    heard = Date.now();
    apply(JSON.parse(event.data));
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(again, RETRY_MS);
  };
}

async function again() {
  const answer = await fetch("/api/snapshot", { method: "HEAD" }).catch(() => null);
  if (answer?.status === 401 || answer?.status === 503) location.reload(); // logged out; or nothing is traded now
  else listen();
}

listen();
setInterval(watchSilence, 500);
