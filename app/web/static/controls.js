// @ts-check
// The buttons: stop entries, flatten and lock, log in and out, the first password, theme. No drawing of data here.

const HOLD_MS = 1500; // long enough that no pocket does it, short enough when it matters
const ANSWER_MS = 8000; // then the button says that it does not know

/** @param {string} id */
const find = (id) => document.getElementById(id);

/**
 * Post a change. Throws an Error with words for the owner.
 * @param {string} path
 * @param {object} [body]
 */
async function post(path, body = {}) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Plimsoll": "1" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch(() => { throw new Error("no answer: it may not have arrived, try again or use the switch"); });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `refused (${answer.status})`);
  return told;
}

/** @param {HTMLElement | null} note @param {string} text @param {boolean} [bad] */
function say(note, text, bad = false) {
  if (!note) return;
  note.textContent = text;
  note.classList.toggle("bad", bad);
}

/** What a disk that cannot be written makes of a command that was done. @param {string} [journal] */
const unwritten = (journal) => (journal ? `; not written to disk: ${journal}` : "");

/** Say under the button how far flatten and lock is, from the flags that the server set on the body. */
export function showFlatten() {
  const button = find("flatten"), note = find("flatten-note"), flags = document.body.dataset;
  if (!button || !note || document.documentElement.dataset.access !== "owner") return;
  const told = flags.flattened !== "yes" ? "" : flags.pending === "yes" ? "pending" : "confirmed";
  button.classList.toggle("sent", Boolean(told));
  if (told === "confirmed") {
    if (note.dataset.told !== told) note.dataset.at = document.querySelector('[data-c="clock"]')?.textContent?.slice(-8);
    say(note, `confirmed flat ${note.dataset.at}${unwritten(flags.unwritten)}`);
  } else if (told === "pending") {
    say(note, `pending…${unwritten(flags.unwritten)}`);
  } else if (note.dataset.told) {
    say(note, "press and hold");
  }
  note.dataset.told = told;
}

function wireStop() {
  const button = find("stop"), note = find("stop-note");
  button?.addEventListener("click", async () => {
    say(note, "sending…");
    try {
      const told = await post("/api/stop-entries");
      document.body.dataset.stopped = "yes";
      say(note, `entries are stopped; to allow them again: plimsoll rearm${unwritten(told.journal)}`, Boolean(told.journal));
    } catch (error) {
      say(note, String(error.message), true);
    }
  });
}

function wireFlatten() {
  const button = find("flatten"), note = find("flatten-note");
  if (!(button instanceof HTMLButtonElement)) return;
  if (document.documentElement.dataset.access !== "owner") {
    button.disabled = true;
    say(note, "needs a password");
    return;
  }
  let timer = 0;
  const release = () => {
    if (!timer) return;
    clearTimeout(timer);
    timer = 0;
    button.classList.remove("holding");
    say(note, "let go too early: hold 1.5 s");
  };
  const fire = async () => {
    timer = 0;
    button.classList.remove("holding");
    button.classList.add("sent");
    say(note, "sending…");
    try {
      const told = await post("/api/flatten", { why: "held on the page" });
      say(note, `pending…${unwritten(told.journal)}`);
      if (document.body.dataset.flattened === "yes") showFlatten(); // the stream was faster than the answer
    } catch (error) {
      button.classList.remove("sent");
      say(note, String(error.message), true);
    }
  };
  const press = () => {
    if (timer) return;
    button.classList.add("holding");
    say(note, "keep holding…");
    timer = setTimeout(fire, HOLD_MS);
  };
  button.addEventListener("pointerdown", (event) => { if (event.button === 0) press(); });
  for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(name, release);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) press();
  });
  button.addEventListener("keyup", release);
}

function wireLogin() {
  const form = find("login"), field = find("password"), note = find("login-note");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    say(note, "checking…");
    try {
      await post("/api/login", { password: /** @type {HTMLInputElement} */ (field).value });
      location.reload();
    } catch (error) {
      say(note, String(error.message), true);
    }
  });
  find("logout")?.addEventListener("click", () => post("/api/logout").finally(() => location.reload()));
}

/** The first password, for who has the one-time code; the server says on the root whether it takes one. */
function wireClaim() {
  const form = find("claim"), code = find("code"), first = find("first"), note = find("claim-note");
  if (!form || !document.documentElement.dataset.claim) return;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say(note, "checking…");
    try {
      const [said, password] = [code, first].map((field) => /** @type {HTMLInputElement} */ (field).value);
      await post("/api/claim", { code: said, password });
      location.reload();
    } catch (error) {
      say(note, String(error.message), true);
    }
  });
}

function wireTheme() {
  find("theme")?.addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "light" ? "dark" : "light";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
  });
}

wireStop();
wireFlatten();
wireLogin();
wireClaim();
wireTheme();
