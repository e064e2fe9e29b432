// What a page does beyond links and forms: theme, keys, arrows over the map, rows, copying. Every page works without it.
// Loaded in the head, before anything is drawn, so that a chosen theme never flashes.
(() => {
  "use strict";
  const root = document.documentElement;
  const kept = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },
    set(name, value) {
      try { value === null ? localStorage.removeItem(name) : localStorage.setItem(name, value); } catch { /* private window */ }
    },
  };
  root.classList.add("scripted");

  // Theme: as the system, light, dark.
  const THEMES = [null, "light", "dark"];
  const THEME_WORDS = { null: "as the system", light: "light", dark: "dark" };
  const themeNow = () => (THEMES.includes(kept.get("theme")) ? kept.get("theme") : null);

  function showTheme() {
    const theme = themeNow();
    theme ? (root.dataset.theme = theme) : delete root.dataset.theme;
    const button = document.getElementById("colours");
    button?.setAttribute("aria-label", `Colours: ${THEME_WORDS[theme]}`);
    button?.setAttribute("title", `Colours: ${THEME_WORDS[theme]}`);
  }

  function nextTheme() {
    kept.set("theme", THEMES[(THEMES.indexOf(themeNow()) + 1) % THEMES.length]);
    showTheme();
    say(`Colours: ${THEME_WORDS[themeNow()]}`);
  }

  // A short word to everybody, screen readers included.
  let silence;
  function say(text) {
    document.getElementById("said").textContent = text;
    clearTimeout(silence);
    silence = setTimeout(() => { document.getElementById("said").textContent = ""; }, 2500);
  }

  async function copy(id) {
    const from = document.getElementById(id);
    if (!from) return;
    const text = from.value ?? from.textContent;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      // Refused, as on plain http: leave it selected for the visitor's own keys.
      from.focus();
      from.select ? from.select() : getSelection().selectAllChildren(from);
      say("Selected: copy it with Ctrl-C");
    }
  }

  // What leads back here keeps the end of a direction that the address names: the link to send, what is cited and
  // printed, the same page of other weights or by another readout.
  function showEnd() {
    const end = document.getElementById(location.hash.slice(1))?.matches(".ray") ? location.hash : "";
    const link = document.getElementById("link");
    if (link) link.value = link.defaultValue + end;
    for (const place of document.querySelectorAll("[data-end]")) place.textContent = end;
    for (const same of document.querySelectorAll(".moves .switch a:not(.term)")) same.hash = end;
  }

  // One tab stop for each group of cells or bars; arrows move inside it.
  const stops = (group) => [...group.querySelectorAll("a:not([data-fixed])")];

  function showColumn() { // of a lens, where the chosen token may stand off a narrow screen
    const column = document.querySelector(".lens .chosen"), box = column?.closest(".wide");
    if (box) box.scrollLeft = column.offsetLeft + column.offsetWidth - box.clientWidth;
  }

  function prepareGroups() {
    for (const group of document.querySelectorAll("[data-roving]")) {
      const all = stops(group);
      const first = all.find((stop) => stop.getAttribute("aria-current") || stop === document.activeElement) ?? all[0];
      for (const stop of all) stop.setAttribute("tabindex", stop === first ? "0" : "-1");
    }
  }

  function moveInGroup(event, group) {
    const all = stops(group);
    const columns = Number(group.dataset.columns) || all.length;
    const at = all.indexOf(document.activeElement);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const sideways = steps[event.key] === 1 || steps[event.key] === -1;
    let to = at + (steps[event.key] ?? 0);
    if (event.key === "Home") to = at - (at % columns);
    if (event.key === "End") to = Math.min(at - (at % columns) + columns, all.length) - 1;
    if (at < 0 || to === at || !all[to]) return;
    if (sideways && Math.floor(to / columns) !== Math.floor(at / columns)) return;
    event.preventDefault();
    all[at].setAttribute("tabindex", "-1");
    all[to].setAttribute("tabindex", "0");
    all[to].focus();
  }

  // Single keys, unless the visitor turned them off; never while typing, never with a modifier.
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");
  const follow = (rel) => document.querySelector(`a[rel~="${rel}"]`)?.href;

  function openHelp() {
    document.getElementById("single-keys").checked = kept.get("keys") !== "off";
    document.getElementById("help").showModal();
  }

  // The row cursor is the focus: down and up the links that rows begin with, first the one that a visitor comes back from.
  let left = document.referrer.startsWith(location.origin) ? new URL(document.referrer).pathname : null;

  function moveRow(step) {
    const rows = [...document.querySelectorAll("table.directions tbody th a")];
    const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
    const first = () =>
      rows.find((link) => link.pathname === left) ?? rows.find((link) => link.getBoundingClientRect().top >= 0) ?? rows[0];
    (at < 0 ? first() : rows[at + step])?.focus();
    left = null;
  }

  const up = () => document.querySelector(".crumbs li:nth-last-child(2) a")?.href;

  // The jump box as a palette: suggestions as one types, and the places that this browser was at, which it alone knows.
  const RECENT = 12;
  const palette = () => document.getElementById("palette");

  function recentPlaces() {
    try {
      const found = JSON.parse(kept.get("recent") ?? "[]");
      const isPlace = (one) => Array.isArray(one) && one.every((part) => typeof part === "string") && /^\/(?!\/)/.test(one[0]);
      return Array.isArray(found) ? found.filter(isPlace) : [];
    } catch { return []; }
  }

  function notePlace() {
    if (!document.querySelector(".place .masthead") || document.getElementById("progress") || !palette()) return;
    const here = [location.pathname + location.search, document.title.replace(/ · singular-lens$/, "")];
    kept.set("recent", JSON.stringify([here, ...recentPlaces().filter(([url]) => url !== here[0])].slice(0, RECENT)));
  }

  function showRecent() {
    const words = document.getElementById("palette-box").value.trim().toLowerCase();
    const here = location.pathname + location.search;
    const found = recentPlaces().filter(([url, label]) => url !== here && label.toLowerCase().includes(words));
    const section = document.getElementById("recent");
    section.hidden = !found.length;
    section.querySelector("ul").replaceChildren(...found.slice(0, words ? 3 : RECENT).map(([url, label]) => {
      const item = document.createElement("li");
      const link = item.appendChild(document.createElement("a"));
      link.href = url;
      link.textContent = label;
      return item;
    }));
  }

  function openPalette() {
    if (!palette() || document.querySelector("dialog[open]")) return;
    const box = document.getElementById("palette-box");
    box.value = document.getElementById("jump").value;
    palette().showModal();
    box.select();
    showRecent();
    box.dispatchEvent(new Event("suggest"));
  }

  // Down and up from the box through what is suggested, and back; Escape leaves it.
  function moveInSuggestions(event) {
    const place = event.target.closest?.("dialog.palette, form.jump");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const box = place?.querySelector("input[name='q']");
    if (box && step) {
      const links = [...place.querySelectorAll("section:not([hidden]) a, .suggestions a")].filter((link) => link.offsetParent);
      const stops = [box, ...new Set(links)];
      event.preventDefault();
      stops[stops.indexOf(document.activeElement) + step]?.focus();
    }
    if (box && event.key === "Escape" && place.matches("dialog")) {
      event.preventDefault(); // which would only empty the box
      place.close();
    }
    if (box && event.key === "Escape" && place.matches("form") && document.getElementById("below")?.childElementCount) {
      event.preventDefault();
      document.getElementById("below").replaceChildren();
      box.focus();
    }
  }

  const KEYS = {
    "[": () => { const url = follow("prev"); if (url) location.assign(url); },
    "]": () => { const url = follow("next"); if (url) location.assign(url); },
    j: () => moveRow(1),
    k: () => moveRow(-1),
    u: () => { const url = up(); if (url) location.assign(url); },
    "/": () => document.getElementById("jump")?.focus(),
    c: () => copy("link"),
    1: () => document.querySelector("a[aria-keyshortcuts='1']")?.click(),
    2: () => document.querySelector("a[aria-keyshortcuts='2']")?.click(),
    "?": openHelp,
  };

  function onKey(event) {
    const group = event.target.closest?.("[data-roving]");
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      if (!palette()) document.getElementById("jump")?.focus(); // of a page that is of no model
      else palette().open ? palette().close() : openPalette();
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches?.("textarea")) event.target.form?.requestSubmit();
    if (!event.ctrlKey && !event.metaKey && !event.altKey) moveInSuggestions(event);
    if (group && !event.ctrlKey && !event.metaKey && !event.altKey) moveInGroup(event, group);
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") hideTip();
    if (kept.get("keys") === "off" || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  }

  // A text that grows stays as far as it has come: its stream ends where its element is gone.
  function stopText(link) {
    const grows = document.getElementById("continuation");
    const stays = grows.cloneNode(true);
    for (const name of ["hx-sse:connect", "hx-sse:close"]) stays.removeAttribute(name);
    for (const mark of stays.querySelectorAll(".coming")) mark.remove();
    stays.querySelector("[aria-busy]")?.setAttribute("aria-busy", "false");
    grows.replaceWith(stays);
    link.remove();
    say("Stopped");
  }

  function onClick(event) {
    if (event.target === palette()) return palette().close(); // beside it
    const button = event.target.closest?.("[data-copy], #colours, #help-link, #palette-open, #forget, #stop");
    if (!button) return;
    if (button.id === "stop") { event.preventDefault(); return stopText(button); }
    if (button.id === "palette-open") return openPalette();
    if (button.id === "forget") { kept.set("recent", null); showRecent(); return document.getElementById("palette-box").focus(); }
    if (button.id === "colours") nextTheme();
    else if (button.id === "help-link") { event.preventDefault(); openHelp(); }
    else copy(button.dataset.copy);
  }

  showTheme();
  addEventListener("storage", showTheme); // another tab switched
  document.addEventListener("keydown", (event) => {
    if (!document.body.classList.contains("framed")) onKey(event); // another site's page has the keys there
  });
  document.addEventListener("click", onClick);
  // A search's address says what was chosen, not what was left empty.
  document.addEventListener("htmx:config:request", (event) => {
    const { form, body } = event.detail.ctx.request;
    if (form?.id === "search") for (const [name, value] of [...body]) if (!value && name !== "q") body.delete(name);
  });
  // To the public a part of a page has an address of its own, for caches that do not look at htmx's headers; the browser
  // shows its page's.
  document.addEventListener("htmx:before:request", (event) => {
    const { request, target } = event.detail.ctx;
    if (!("fragments" in root.dataset) || request.method !== "GET" || request.headers["HX-Request-Type"] !== "partial") return;
    request.action += `${request.action.includes("?") ? "&" : "?"}fragment=${target?.id || "part"}`;
  });
  document.addEventListener("htmx:before:history:update", (event) => {
    event.detail.history.path = event.detail.history.path.replace(/[?&]fragment=[\w-]+(?=#|$)/, "");
  });
  document.addEventListener("input", (event) => { if (event.target.id === "palette-box") showRecent(); });
  document.addEventListener("change", (event) => {
    if (event.target.id === "single-keys") kept.set("keys", event.target.checked ? null : "off");
  });

  // What a cell of the map is, beside it: its name and score, and what its strongest direction writes.
  let pointed = null;
  const cellOf = (event) => event.target.closest?.(".heat td a");

  function prepareTips() {
    for (const cell of document.querySelectorAll(".heat td a[title]")) {
      cell.dataset.tip = cell.title;
      cell.setAttribute("aria-label", `${cell.textContent} · ${cell.title}`);
      cell.removeAttribute("title"); // or the browser would say it a second time
    }
    if (pointed) showTip(pointed);
  }

  function showTip(cell) {
    const tip = document.getElementById("tip");
    if (!cell.isConnected || !cell.dataset.tip) return hideTip();
    pointed = cell;
    const words = document.createElement("p");
    words.textContent = cell.dataset.tip;
    const written = document.getElementById(`written-${cell.dataset.tip.split(" ")[0]}`);
    tip.replaceChildren(words, ...(written?.cloneNode(true).children ?? []));
    tip.hidden = false;
    tip.style.left = "0"; // or its width would be what was left of the screen
    const at = cell.getBoundingClientRect();
    const below = at.bottom + 6;
    const left = Math.max(6, Math.min(at.left, root.clientWidth - tip.offsetWidth - 6));
    tip.style.left = `${left}px`;
    tip.style.top = `${below + tip.offsetHeight > innerHeight ? at.top - 6 - tip.offsetHeight : below}px`;
  }

  function hideTip() {
    pointed = null;
    const tip = document.getElementById("tip");
    if (tip) tip.hidden = true;
  }

  document.addEventListener("pointerover", (event) => {
    const cell = event.pointerType === "mouse" ? cellOf(event) : null;
    if (cell) showTip(cell);
    else if (pointed && pointed !== document.activeElement) hideTip();
  });
  document.addEventListener("focusin", (event) => (cellOf(event)?.matches(":focus-visible") ? showTip(cellOf(event)) : hideTip()));
  document.addEventListener("focusout", hideTip);
  document.addEventListener("scroll", hideTip, { capture: true, passive: true });

  // A page that was waited for has come: a browser looks for what an address points at only once.
  let waits = false;
  function findTarget() {
    const waited = waits;
    waits = document.getElementById("progress") !== null;
    if (waited && !waits && location.hash) location.replace(location.hash);
  }

  const prepare = () => { showTheme(); showEnd(); prepareGroups(); prepareTips(); showColumn(); findTarget(); notePlace(); };
  addEventListener("hashchange", showEnd);
  document.addEventListener("DOMContentLoaded", prepare);
  document.addEventListener("htmx:after:swap", prepare);
})();
