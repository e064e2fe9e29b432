// What a visitor takes along: stars and notes of their own here, figures and tables in save.js, once they are asked for.
// Nothing here is sent anywhere. Every page works without it.
(() => {
  "use strict";
  const KEPT = "singular-lens-places";
  const ADDRESS = new RegExp(
    "^[a-z0-9][a-z0-9._-]{0,63}(@[0-9a-f]{8,64})?" +
      "(/(L\\d{1,5}|H\\d{1,5}|ov|qk|mlp-(in|gate|out)|embed|unembed|pos|heads|write|read|svd|used|pca|nmf|ica|dictionary|neuron|frequency|\\d{1,7})){0,7}" +
      "(~(raw|folded))?$",
  );
  const LONGEST_NOTE = 4000, MOST_PLACES = 2000, MOST_LISTED = 50;
  const make = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  function say(text) {
    const said = document.getElementById("said");
    if (said) said.textContent = text;
  }

  // A file for the visitor, named by the page's address.
  function offer(blob, name) {
    const link = make("a", "", { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async function openSave(button) {
    try {
      (await import(button.dataset.script)).openSave({ make, offer, say });
    } catch {
      say("The script for this did not come: try again.");
    }
  }

  // Stars and notes: by address, in this browser. What is there may be anything, and is read as such.
  function readOne(address, said) {
    if (typeof address !== "string" || !ADDRESS.test(address) || !said || typeof said !== "object") return null;
    const text = (value, most) => (typeof value === "string" ? value.slice(0, most) : "");
    const now = new Date().toISOString(), changed = new Date(said.changed);
    const when = isNaN(changed) || changed > new Date(Date.now() + 86_400_000) ? now : changed.toISOString();
    return { label: text(said.label, 200) || address, starred: said.starred === true, note: text(said.note, LONGEST_NOTE), changed: when };
  }

  function readPlaces() {
    const places = new Map();
    try {
      for (const [address, said] of Object.entries(JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {})) {
        const one = readOne(address, said);
        if (one) places.set(address, one);
      }
    } catch { /* nothing that this page wrote */ }
    return places;
  }

  // Returns whether they are kept.
  function writePlaces(places) {
    const worth = [...places].filter(([, one]) => one.starred || one.note);
    if (worth.length > MOST_PLACES) {
      say(`${MOST_PLACES} places are the most that are kept here: remove some first.`);
      return false;
    }
    try {
      localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(worth)));
      return true;
    } catch {
      say("Nothing was kept: this browser's storage is full, or turned off.");
      return false;
    }
  }

  function changePlace(address, changed) {
    const places = readPlaces(), before = places.get(address) ?? { label: address, starred: false, note: "" };
    places.set(address, { ...before, ...changed, changed: new Date().toISOString() });
    return writePlaces(places);
  }

  function showStar() {
    const star = document.getElementById("star"), note = document.getElementById("note");
    if (!star) return;
    const own = readPlaces().get(star.dataset.address);
    star.textContent = own?.starred ? "★ starred" : "☆ star";
    star.setAttribute("aria-pressed", String(Boolean(own?.starred)));
    if (note && note !== document.activeElement) note.value = own?.note ?? "";
    if (own?.note) document.getElementById("noting").open = true;
  }

  const byTime = (places) => [...places].sort(([, a], [, b]) => b.changed.localeCompare(a.changed));

  function showList(noted, places) {
    const link = document.getElementById("make-list"), stars = byTime(places).filter(([, one]) => one.starred);
    const spelt = stars.slice(0, MOST_LISTED).map(([address]) => encodeURIComponent(address).replaceAll("%2F", "/").replaceAll("%7E", "~").replaceAll("%40", "@"));
    link.href = `${noted.dataset.list}?of=${spelt.join(",")}`;
    link.textContent = stars.length > MOST_LISTED ? `make a list of the ${MOST_LISTED} newest stars` : "make a list of the stars";
  }

  function showNoted() {
    const noted = document.getElementById("noted");
    if (!noted) return;
    const places = readPlaces(), list = make("ul", "", { class: "noted" });
    for (const [address, one] of byTime(places)) {
      const row = make("li"), [path, weights] = address.split("~");
      const link = make("a", one.label, { href: `${noted.dataset.root}/${path}${weights ? `?weights=${weights}` : ""}`, dir: "auto" });
      const remove = make("button", "remove", { type: "button", class: "plain", "aria-label": `Remove ${one.label}` });
      remove.addEventListener("click", () => {
        changePlace(address, { starred: false, note: "" });
        showNoted();
      });
      row.append(one.starred ? "★ " : "", link, " ", remove);
      if (one.note) row.append(make("p", one.note, { dir: "auto" }));
      list.append(row);
    }
    noted.replaceChildren(places.size ? list : make("p", "Nothing is starred or noted yet.", { class: "quieter" }));
    showList(noted, places);
  }

  function exportNotes() {
    const lines = [...readPlaces()].map(([address, one]) => JSON.stringify({ address, ...one }));
    offer(new Blob([lines.map((line) => `${line}\n`).join("")], { type: "application/jsonl" }), "singular-lens-notes.jsonl");
  }

  async function importNotes(file) {
    const places = readPlaces();
    let taken = 0, refused = 0;
    for (const line of (await file.text()).split("\n").filter((one) => one.trim())) {
      let said = null;
      try {
        said = JSON.parse(line);
      } catch { /* counted below */ }
      const one = readOne(said?.address, said);
      if (!one) {
        refused += 1;
        continue;
      }
      taken += 1;
      const before = places.get(said.address);
      if (!before || before.changed < one.changed) places.set(said.address, one);
    }
    const isKept = writePlaces(places);
    showNoted();
    if (isKept) say(`${taken} read${refused ? `, ${refused} lines are none of these` : ""}`);
  }

  document.addEventListener("click", (event) => {
    const saving = event.target.closest?.("#save-open");
    if (saving) return openSave(saving);
    const star = event.target.closest?.("#star");
    if (star) {
      const own = readPlaces().get(star.dataset.address);
      changePlace(star.dataset.address, { label: star.dataset.label, starred: !own?.starred });
      return showStar();
    }
    if (event.target.closest?.("#export-notes")) exportNotes();
  });
  document.addEventListener("input", (event) => {
    const star = document.getElementById("star");
    if (event.target.id === "note" && star) {
      changePlace(star.dataset.address, { label: star.dataset.label, note: event.target.value.slice(0, LONGEST_NOTE) });
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "import-notes" && event.target.files[0]) importNotes(event.target.files[0]);
  });
  const show = () => { showStar(); showNoted(); };
  document.addEventListener("htmx:after:swap", show);
  addEventListener("storage", show);
  show();
})();
