// Figures as SVG and PNG, tables as Markdown, LaTeX and CSV, made of the page as it stands. Fetched when somebody asks for it.
const STYLES = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-family",
  "font-size", "font-weight", "text-anchor", "dominant-baseline", "vector-effect", "display", "visibility", "transform",
];
const MARGIN = 60, SMALL = 12, LINE = 17;
const root = document.documentElement;
let make, offer, say; // of share.js

const slug = (text) => text.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "").toLowerCase();
const named = (label) => `${slug(location.pathname) || "singular-lens"}-${slug(label).slice(0, 60) || "figure"}`;

// Figures: charts are SVG whose colours the style sheet decides, so they are written into a copy; maps and coloured texts
// are drawn box by box.
const figures = () => [...document.querySelectorAll("main :is(svg[role], table.heat, .strip)")].filter((one) => one.getBoundingClientRect().width > 40);
const labelOf = (one) =>
  one.getAttribute("aria-label") || one.querySelector("title")?.textContent || one.caption?.textContent || one.closest("section[aria-label]")?.getAttribute("aria-label") || one.closest("section")?.querySelector("h2")?.textContent || "figure";

function inTheme(theme, work) {
  const before = root.dataset.theme;
  root.dataset.theme = theme === "dark" ? "dark" : "light";
  try {
    return work();
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

// The lines of a text as the page breaks them.
function linesOf(piece) {
  const range = document.createRange(), lines = [];
  for (const { index, 0: word } of piece.data.matchAll(/\S+/g)) {
    range.setStart(piece, index);
    range.setEnd(piece, index + word.length);
    const at = range.getBoundingClientRect(), last = lines.at(-1);
    if (last && Math.abs(last.at.y - at.y) < 2) last.text = piece.data.slice(last.index, index + word.length);
    else if (at.width) lines.push({ text: word, index, at });
  }
  return lines;
}

function drawBoxes(figure) {
  const { x, y } = figure.getBoundingClientRect(), drawn = draw("g", {});
  for (const one of [figure, ...figure.querySelectorAll("*")]) {
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (style.visibility === "hidden" || box.width < 2) continue;
    if (!/, 0\)$|transparent/.test(style.backgroundColor)) {
      drawn.append(draw("rect", { x: box.x - x, y: box.y - y, width: box.width, height: box.height, fill: plain(style.backgroundColor) }));
    }
    const thick = one.tagName === "I" ? parseFloat(style.borderTopWidth) : 0;
    if (thick) { // the line of a legend
      const dashes = { dashed: "4 3", dotted: "2 2" }[style.borderTopStyle] ?? "none";
      drawn.append(draw("path", { d: `M${box.x - x} ${box.y - y + thick / 2}h${box.width}`, stroke: plain(style.borderTopColor), "stroke-width": thick, "stroke-dasharray": dashes }));
    }
    for (const piece of one.childNodes) {
      if (!piece.data?.trim()) continue;
      for (const { text, at } of linesOf(piece)) {
        drawn.append(draw("text", { x: at.x - x, y: at.y - y + 0.76 * at.height, fill: plain(style.color), "font-size": style.fontSize, "font-family": style.fontFamily, "font-weight": style.fontWeight }, text));
      }
    }
  }
  return drawn;
}

// What the style sheet says of each piece of a chart, written into its copy.
function drawChart(chart, times) {
  const copy = chart.cloneNode(true), whole = [chart, ...chart.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((one, at) => {
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
  const { width, height } = chart.getBoundingClientRect(), drawn = draw("g", {});
  for (const [name, value] of Object.entries({ x: 0, y: 0, width, height, overflow: "visible" })) copy.setAttribute(name, value);
  drawn.append(copy);
  const edge = getComputedStyle(chart), thick = parseFloat(edge.borderBottomWidth);
  if (thick) { // the base line
    drawn.append(draw("path", { d: `M0 ${height}h${width}`, stroke: edge.borderBottomColor, "stroke-width": thick }));
  }
  return drawn;
}

// What stands below a figure on its page and says what its colours are.
const legendOf = (figure) =>
  figure.closest("figure")?.querySelector("figcaption") ?? (figure.tagName === "TABLE" ? figure.closest("section")?.querySelector(".legend") : null);

// A spectrum has no axis on its page, where each bar says its value: here the first and the last bar do.
const endsOf = (figure) => {
  const bars = figure.matches(".spectrum") ? [...figure.querySelectorAll("a > title")] : [];
  return [bars[0], bars.at(-1)].filter(Boolean).map((title) => title.textContent);
};

// What a chart says to who cannot see it: its scales, among other things.
const toldOf = (figure) =>
  figure.matches("svg") ? [":scope > title", ":scope > desc"].map((of) => figure.querySelector(of)?.textContent.replace(/\s+/g, " ").trim()).filter((text) => text && text !== labelOf(figure)).join(". ") : "";

function breakLines(text, width, font) {
  const pen = make("canvas").getContext("2d"), lines = [];
  pen.font = font;
  for (const word of text.split(" ").filter(Boolean)) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function place(drawn, x, y) {
  drawn.setAttribute("transform", `translate(${x} ${y})`);
  return drawn;
}

// The figure between what it is called and the page that it is of. `times`: how much larger it is drawn, where lines
// keep their width however large.
function copyFigure(figure, theme, times = 1) {
  return inTheme(theme, () => {
    const box = figure.getBoundingClientRect(), legend = legendOf(figure), ends = endsOf(figure), style = getComputedStyle(root);
    const paper = theme === "print" ? "#ffffff" : style.backgroundColor, soft = plain(getComputedStyle(document.querySelector("footer")).color);
    const write = (text, x, y, of = {}) => draw("text", { x, y, fill: soft, "font-size": SMALL, "font-family": style.fontFamily, ...of }, text);
    const below = MARGIN + box.height + (ends.length ? 2 * SMALL : 30), beside = legend?.getBoundingClientRect();
    const wide = Math.max(box.width, beside?.width ?? 0, 300), lines = breakLines(toldOf(figure), wide, `${SMALL}px ${style.fontFamily}`);
    const last = below + (beside ? beside.height + SMALL : 0), width = wide + 2 * MARGIN, height = last + LINE * lines.length + MARGIN;
    const sheet = draw("svg", { xmlns: "http://www.w3.org/2000/svg", width, height });
    sheet.append(draw("rect", { width: "100%", height: "100%", fill: paper }));
    sheet.append(write(labelOf(figure), MARGIN, MARGIN / 2, { fill: plain(style.color), "font-weight": 600 }));
    sheet.append(place(figure instanceof SVGElement ? drawChart(figure, times) : drawBoxes(figure), MARGIN, MARGIN));
    ends.forEach((text, at) => sheet.append(write(text, MARGIN + at * box.width, MARGIN + box.height + SMALL + 3, { "text-anchor": at ? "end" : "start" })));
    if (legend) sheet.append(place(drawBoxes(legend), MARGIN, below));
    lines.forEach((line, at) => sheet.append(write(line, MARGIN, last + SMALL + LINE * at)));
    sheet.append(write(document.title, MARGIN, height - MARGIN / 3));
    return { text: new XMLSerializer().serializeToString(sheet), width, height };
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

export function openSave(given) {
  ({ make, offer, say } = given);
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

