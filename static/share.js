// What a visitor takes along: figures as SVG and PNG, tables as Markdown, LaTeX and CSV, stars and notes of their own.
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

  // Figures: charts are SVG whose colours the style sheet decides, so they are written into a copy; maps and coloured texts
  // are drawn box by box.
  const figures = () => [...document.querySelectorAll("main :is(svg[role], table.heat, .strip)")].filter((one) => one.getBoundingClientRect().width > 40);
  const labelOf = (one) =>
    one.getAttribute("aria-label") || one.querySelector("title")?.textContent || one.caption?.textContent || one.closest("section[aria-label]")?.getAttribute("aria-label") || one.closest("section")?.querySelector("h2")?.textContent || "figure";

  function inTheme(theme, make) {
    const before = root.dataset.theme;
    root.dataset.theme = theme === "dark" ? "dark" : "light";
    try {
      return make();
    } finally {
      before === undefined ? delete root.dataset.theme : (root.dataset.theme = before);
    }
  }

  const draw = (tag, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };

  // What a mixture of colours comes to, as every program reads it.
  const plain = (colour) =>
    colour.replace(/color\(srgb ([^ )]+) ([^ )]+) ([^ )]+)([^)]*)\)/g, (_, r, g, b, a) => `rgb(${[r, g, b].map((one) => Math.round(255 * one))}${a.replace(" /", ",")})`);

  function drawBoxes(figure) {
    const { x, y, width, height } = figure.getBoundingClientRect(), sheet = draw("svg", { viewBox: `0 0 ${width} ${height}` });
    for (const one of [figure, ...figure.querySelectorAll("*")]) {
      const style = getComputedStyle(one), box = one.getBoundingClientRect();
      if (style.visibility === "hidden" || box.width < 2) continue;
      if (!/, 0\)$|transparent/.test(style.backgroundColor)) {
        sheet.append(draw("rect", { x: box.x - x, y: box.y - y, width: box.width, height: box.height, fill: plain(style.backgroundColor) }));
      }
      for (const piece of one.childNodes) {
        if (!piece.data?.trim()) continue;
        const range = document.createRange();
        range.selectNode(piece);
        const at = range.getBoundingClientRect();
        sheet.append(draw("text", { x: at.x - x, y: at.y - y + 0.76 * at.height, fill: plain(style.color), "font-size": style.fontSize, "font-family": style.fontFamily }, piece.data));
      }
    }
    return sheet;
  }

  // `times`: how much larger it is drawn, where lines keep their width however large.
  function copyFigure(figure, theme, times = 1) {
    return inTheme(theme, () => {
      const { width, height } = figure.getBoundingClientRect();
      const isDrawn = figure instanceof SVGElement, copy = isDrawn ? figure.cloneNode(true) : drawBoxes(figure);
      const whole = [figure, ...figure.querySelectorAll("*")];
      (isDrawn ? [copy, ...copy.querySelectorAll("*")] : []).forEach((one, at) => {
        const style = getComputedStyle(whole[at]);
        for (const name of STYLES) {
          const value = plain(style.getPropertyValue(name));
          if (value && !["none", "normal", "auto", "visible", "inline"].includes(value)) one.setAttribute(name, value);
          else if (value === "none" && (name === "fill" || name === "display")) one.setAttribute(name, value);
        }
        if (style.vectorEffect === "non-scaling-stroke") {
          for (const name of ["stroke-width", "stroke-dasharray"]) {
            const value = one.getAttribute(name);
            if (value) one.setAttribute(name, value.replace(/[\d.]+/g, (number) => times * Number(number)));
          }
        }
        for (const name of ["class", "href", "tabindex", "role", "aria-current"]) one.removeAttribute(name);
      });
      const paper = theme === "print" ? "#ffffff" : getComputedStyle(root).backgroundColor;
      const margin = 60, sheet = draw("svg", { xmlns: "http://www.w3.org/2000/svg", width: width + 2 * margin, height: height + 2 * margin });
      const back = draw("rect", { width: "100%", height: "100%", fill: paper });
      for (const [name, value] of Object.entries({ x: margin, y: margin, width, height, overflow: "visible" })) copy.setAttribute(name, value);
      sheet.append(back, copy);
      const edge = getComputedStyle(figure), thick = parseFloat(edge.borderBottomWidth);
      if (thick) { // the base line, which the style sheet draws
        sheet.append(draw("path", { d: `M${margin} ${margin + height}h${width}`, stroke: edge.borderBottomColor, "stroke-width": thick }));
      }
      return { text: new XMLSerializer().serializeToString(sheet), width: width + 2 * margin, height: height + 2 * margin };
    });
  }

  async function saveFigure(figure, kind, theme) {
    const times = kind === "png" ? 3 : 1;
    const { text, width, height } = copyFigure(figure, theme, times), name = `${named(labelOf(figure))}-${theme}.${kind}`;
    const svg = new Blob([text], { type: "image/svg+xml" });
    if (kind === "svg") return offer(svg, name);
    const image = new Image(), canvas = make("canvas");
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
    const title = (said || above.at(-1)?.textContent || "table").replace(/\s+/g, " ").trim().slice(0, 80);
    const alike = tables().filter((other) => other !== table && other.closest("section, details") === table.closest("section, details"));
    return alike.length && !said ? `${title}: ${words(table.rows[0]).slice(0, 30)}` : title;
  }
  // Each piece of text apart from the next, whether it is shown or folded away; what stands in a line of its own behind a bar.
  const TEXTS = NodeFilter.SHOW_TEXT;
  function words(cell) {
    const pieces = [];
    const walk = document.createTreeWalker(cell, TEXTS);
    let block = null;
    while (walk.nextNode()) {
      const text = walk.currentNode.textContent.replace(/\s+/g, " ").trim(), own = walk.currentNode.parentElement.closest("p, li, dd, td, th");
      if (!text || walk.currentNode.parentElement.closest("title, desc")) continue;
      pieces.push(block && own !== block ? `/ ${text}` : text);
      block = own;
    }
    return pieces.join(" ");
  }
  const rowsOf = (table) =>
    [...table.rows].map((row) => [...row.cells].flatMap((cell) => [words(cell), ...Array(cell.colSpan - 1).fill("")]));

  function asMarkdown(rows) {
    const line = (cells) => `| ${cells.map((cell) => cell.replace(/([\\|`*_<>])/g, "\\$1")).join(" | ")} |`;
    return [line(rows[0]), `|${" --- |".repeat(rows[0].length)}`, ...rows.slice(1).map(line)].join("\n");
  }

  const LATEX = {
    "●": "$\\bullet$", "σ": "$\\sigma$", "≤": "$\\le$", "≥": "$\\ge$", "²": "$^2$", "–": "--", "↵": "$\\hookleftarrow$", "→": "$\\rightarrow$", "…": "\\dots{}",
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "×": "$\\times$", "·": "\\textperiodcentered{}" };

  function asLatex(rows) {
    const escape = (cell) => cell.replace(/[\\~^−×·●σ≤≥²–↵→…&%$#_{}]/g, (one) => LATEX[one] ?? `\\${one}`);
    const line = (cells) => `${cells.map(escape).join(" & ")} \\\\`;
    const [head, ...body] = rows;
    const numeric = (column) => body.every((row) => !row[column] || /^[+−-]?[\d.,]+(e[+-]?\d+)?%?$/.test(row[column]));
    const columns = head.map((_, column) => (numeric(column) ? "r" : "l")).join("");
    return [
      "% \\usepackage{booktabs}", `\\begin{tabular}{${columns}}`, "\\toprule", line(head), "\\midrule", ...body.map(line), "\\bottomrule", "\\end{tabular}",
    ].join("\n");
  }

  function asCsv(rows) {
    // A spreadsheet takes what begins so for a formula.
    const plain = (cell) => (/^[+−-]?[\d.,]+(e[+−-]?\d+)?%?$/.test(cell) ? cell.replaceAll("−", "-").replace(/^\+/, "") : cell);
    const safe = (cell) => (/^[=+@\t\r]/.test(cell) || /^-(?![\d.])/.test(cell) ? `'${cell}` : cell);
    return rows.map((cells) => cells.map((cell) => `"${safe(plain(cell)).replaceAll('"', '""')}"`).join(",")).join("\r\n");
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
    if (event.target.closest?.("#save-open")) return openSave();
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
