// What a visitor takes along: figures as SVG and PNG, tables as Markdown, LaTeX and CSV, stars and notes of their own.
// Nothing here is sent anywhere. Every page works without it.
(() => {
  "use strict";
  const KEPT = "singular-lens-places";
  const ADDRESS = /^[a-z0-9][a-z0-9._-]{0,63}(\/[A-Za-z0-9._-]{1,40}){0,8}(~(raw|folded))?$/;
  const LONGEST_NOTE = 4000, MOST_PLACES = 2000;
  const STYLES = [
    "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-family",
    "font-size", "font-weight", "text-anchor", "dominant-baseline", "vector-effect", "display", "visibility", "transform",
  ];
  const root = document.documentElement;
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

  const slug = (text) => text.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "").toLowerCase();
  const named = (label) => `${slug(location.pathname) || "singular-lens"}-${slug(label).slice(0, 60) || "figure"}`;

  // Figures: every chart is an SVG whose colours the style sheet decides, so they are written into a copy.
  const figures = () => [...document.querySelectorAll("main svg[role]")].filter((one) => one.getBoundingClientRect().width > 40);
  const labelOf = (one) =>
    one.getAttribute("aria-label") || one.querySelector("title")?.textContent || one.closest("section")?.querySelector("h2")?.textContent || "figure";

  function inTheme(theme, draw) {
    const before = root.dataset.theme;
    root.dataset.theme = theme === "dark" ? "dark" : "light";
    try {
      return draw();
    } finally {
      before === undefined ? delete root.dataset.theme : (root.dataset.theme = before);
    }
  }

  function copyFigure(figure, theme) {
    return inTheme(theme, () => {
      const { width, height } = figure.getBoundingClientRect();
      const copy = figure.cloneNode(true), whole = [figure, ...figure.querySelectorAll("*")];
      [copy, ...copy.querySelectorAll("*")].forEach((one, at) => {
        const style = getComputedStyle(whole[at]);
        for (const name of STYLES) {
          const value = style.getPropertyValue(name);
          if (value && !["none", "normal", "auto", "visible", "inline"].includes(value)) one.setAttribute(name, value);
          else if (value === "none" && (name === "fill" || name === "display")) one.setAttribute(name, value);
        }
        for (const name of ["class", "href", "tabindex", "role", "aria-current"]) one.removeAttribute(name);
      });
      const paper = theme === "print" ? "#ffffff" : getComputedStyle(root).backgroundColor;
      const margin = 24, sheet = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      sheet.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      sheet.setAttribute("width", width + 2 * margin);
      sheet.setAttribute("height", height + 2 * margin);
      const back = document.createElementNS(sheet.namespaceURI, "rect");
      for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", paper]]) back.setAttribute(name, value);
      for (const [name, value] of [["x", margin], ["y", margin], ["width", width], ["height", height], ["overflow", "visible"]]) {
        copy.setAttribute(name, value);
      }
      sheet.append(back, copy);
      return { text: new XMLSerializer().serializeToString(sheet), width: width + 2 * margin, height: height + 2 * margin };
    });
  }

  async function saveFigure(figure, kind, theme) {
    const { text, width, height } = copyFigure(figure, theme), name = `${named(labelOf(figure))}-${theme}.${kind}`;
    const svg = new Blob([text], { type: "image/svg+xml" });
    if (kind === "svg") return offer(svg, name);
    const image = new Image(), canvas = make("canvas"), times = 3;
    image.src = URL.createObjectURL(svg);
    await image.decode();
    canvas.width = Math.round(times * width);
    canvas.height = Math.round(times * height);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(image.src);
    canvas.toBlob((png) => offer(png, name), "image/png");
  }

  // Tables: what is read, cell by cell.
  const tables = () => [...document.querySelectorAll("main table")];
  function titleOf(table) {
    const said = table.caption?.textContent || table.closest("[aria-label]:not(main)")?.getAttribute("aria-label");
    const above = [...document.querySelectorAll("main :is(h1, h2, h3, summary)")].filter(
      (one) => one.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_FOLLOWING,
    );
    return (said || above.at(-1)?.textContent || "table").replace(/\s+/g, " ").trim().slice(0, 80);
  }
  const words = (cell) => cell.innerText.replace(/\s+/g, " ").trim();
  const rowsOf = (table) =>
    [...table.rows].map((row) => [...row.cells].flatMap((cell) => [words(cell), ...Array(cell.colSpan - 1).fill("")]));

  function asMarkdown(rows) {
    const line = (cells) => `| ${cells.map((cell) => cell.replace(/([\\|`*_<>])/g, "\\$1")).join(" | ")} |`;
    return [line(rows[0]), `|${" --- |".repeat(rows[0].length)}`, ...rows.slice(1).map(line)].join("\n");
  }

  const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "×": "$\\times$", "·": "\\textperiodcentered{}" };

  function asLatex(rows) {
    const escape = (cell) => cell.replace(/[\\~^−×·&%$#_{}]/g, (one) => LATEX[one] ?? `\\${one}`);
    const line = (cells) => `${cells.map(escape).join(" & ")} \\\\`;
    const [head, ...body] = rows;
    return [
      `\\begin{tabular}{l${"r".repeat(head.length - 1)}}`, "\\toprule", line(head), "\\midrule", ...body.map(line), "\\bottomrule", "\\end{tabular}",
    ].join("\n");
  }

  function asCsv(rows) {
    // A spreadsheet takes what begins so for a formula.
    const safe = (cell) => (/^[=+@\t\r]/.test(cell) || /^-(?![\d.])/.test(cell) ? `'${cell}` : cell);
    return rows.map((cells) => cells.map((cell) => `"${safe(cell).replaceAll('"', '""')}"`).join(",")).join("\r\n");
  }

  const FORMS = { Markdown: asMarkdown, LaTeX: asLatex, CSV: asCsv };

  async function copyTable(table, form) {
    const text = FORMS[form](rowsOf(table));
    try {
      await navigator.clipboard.writeText(text);
      say(`Copied as ${form}`);
    } catch {
      offer(new Blob([text], { type: "text/plain" }), `${named(titleOf(table))}.${{ Markdown: "md", LaTeX: "tex", CSV: "csv" }[form]}`);
    }
  }

  function openSave() {
    document.getElementById("save")?.remove();
    const dialog = make("dialog", "", { id: "save", "aria-labelledby": "save-title" });
    dialog.append(make("h2", "Save figures and tables", { id: "save-title" }));
    const theme = make("select", "", { id: "save-theme" });
    for (const one of ["light", "dark", "print"]) theme.append(make("option", one, { value: one }));
    const choose = make("p");
    choose.append(make("label", "Figures in colours for", { for: "save-theme" }), " ", theme);
    const list = make("ul", "", { class: "saved" });
    for (const figure of figures()) {
      const row = make("li", `${labelOf(figure)} `);
      for (const kind of ["svg", "png"]) {
        const button = make("button", kind.toUpperCase(), { type: "button", "aria-label": `${labelOf(figure)} as ${kind.toUpperCase()}` });
        button.addEventListener("click", () => saveFigure(figure, kind, theme.value));
        row.append(button, " ");
      }
      list.append(row);
    }
    for (const table of tables()) {
      const row = make("li", `${titleOf(table)} `);
      for (const form of Object.keys(FORMS)) {
        const button = make("button", form, { type: "button", "aria-label": `${titleOf(table)} as ${form}` });
        button.addEventListener("click", () => copyTable(table, form));
        row.append(button, " ");
      }
      list.append(row);
    }
    const close = make("form", "", { method: "dialog" });
    close.append(make("button", "Close"));
    dialog.append(choose, list.children.length ? list : make("p", "This page has neither."), close);
    document.body.append(dialog);
    dialog.showModal();
  }

  // Stars and notes: by address, in this browser.
  function readPlaces() {
    try {
      const held = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
      return held && typeof held === "object" && !Array.isArray(held) ? held : {};
    } catch {
      return {};
    }
  }

  function writePlaces(places) {
    const worth = Object.entries(places).filter(([, one]) => one.starred || one.note);
    try {
      localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(worth.slice(0, MOST_PLACES))));
    } catch {
      say("This browser keeps nothing: its storage is full, or turned off.");
    }
  }

  function changePlace(address, changed) {
    const places = readPlaces();
    places[address] = { label: address, starred: false, note: "", ...places[address], ...changed, changed: new Date().toISOString() };
    writePlaces(places);
    return places[address];
  }

  function showStar() {
    const star = document.getElementById("star"), note = document.getElementById("note");
    if (!star) return;
    const own = readPlaces()[star.dataset.address] ?? {};
    star.textContent = own.starred ? "★ starred" : "☆ star";
    star.setAttribute("aria-pressed", String(Boolean(own.starred)));
    if (note && note !== document.activeElement) note.value = own.note ?? "";
    if (own.note) document.getElementById("noting").open = true;
  }

  function listLink(places) {
    const spelt = Object.entries(places).filter(([, one]) => one.starred).map(([address]) => address).slice(0, 50);
    return `?of=${spelt.map((one) => encodeURIComponent(one).replaceAll("%2F", "/").replaceAll("%7E", "~")).join(",")}`;
  }

  function showNoted() {
    const noted = document.getElementById("noted");
    if (!noted) return;
    const places = readPlaces(), list = make("ul", "", { class: "noted" });
    const entries = Object.entries(places).filter(([address]) => ADDRESS.test(address));
    for (const [address, one] of entries.sort(([, a], [, b]) => String(b.changed).localeCompare(String(a.changed)))) {
      const row = make("li"), [path, weights] = address.split("~");
      const link = make("a", one.label || address, { href: `${noted.dataset.root}/${path}${weights ? `?weights=${weights}` : ""}` });
      const remove = make("button", "remove", { type: "button", class: "plain", "aria-label": `Remove ${one.label || address}` });
      remove.addEventListener("click", () => {
        changePlace(address, { starred: false, note: "" });
        showNoted();
      });
      row.append(one.starred ? "★ " : "", link, " ", remove);
      if (one.note) row.append(make("p", one.note));
      list.append(row);
    }
    noted.replaceChildren(entries.length ? list : make("p", "Nothing is starred or noted yet.", { class: "quieter" }));
    document.getElementById("make-list").href = noted.dataset.list + listLink(places);
  }

  function exportNotes() {
    const lines = Object.entries(readPlaces()).map(([address, one]) => JSON.stringify({ address, ...one }));
    offer(new Blob([lines.map((line) => `${line}\n`).join("")], { type: "application/jsonl" }), "singular-lens-notes.jsonl");
  }

  async function importNotes(file) {
    const places = readPlaces();
    let taken = 0, refused = 0;
    for (const line of (await file.text()).split("\n").filter((one) => one.trim())) {
      try {
        const { address, label, starred, note, changed } = JSON.parse(line);
        if (typeof address !== "string" || !ADDRESS.test(address)) throw new Error();
        taken += 1;
        if (places[address] && String(places[address].changed) >= String(changed ?? "")) continue;
        const said = { label: String(label ?? address).slice(0, 200), starred: Boolean(starred), note: String(note ?? "").slice(0, LONGEST_NOTE) };
        places[address] = { ...said, changed: String(changed ?? new Date().toISOString()).slice(0, 40) };
      } catch {
        refused += 1;
      }
    }
    writePlaces(places);
    showNoted();
    say(`${taken} read${refused ? `, ${refused} lines are none of these` : ""}`);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#save-open")) return openSave();
    const star = event.target.closest?.("#star");
    if (star) {
      const own = readPlaces()[star.dataset.address];
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
