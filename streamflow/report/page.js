/* Builds the page from its data. Names and notes are untrusted: they enter as text, never as HTML. */

const WORDS = {
  signal: "reading", score: "score", threshold: "threshold",
  found: "incident found", missed: "incident missed",
  hit: "alert in an incident", false: "false alert", alert: "alert", drift: "drift",
};

function element(tag, className, ...content) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...content); // a string becomes a text node
  return node;
}

/** All things with a place in time, in order, in one form. */
function happenings({ incidents, alerts, drift }) {
  const points = drift.map(({ at, note }) => ({ start: at, end: at, kind: "drift", note }));
  return [...incidents, ...alerts, ...points].sort((one, other) => one.start - other.start);
}

function lasted({ start, end, kind }) {
  if (kind === "drift") return "";
  return end === null ? "still open" : duration(end - start);
}

function legend(track) {
  const kinds = [
    ...(track.signals.length ? ["signal"] : []),
    ...(track.score ? ["score"] : []),
    ...(track.score && track.threshold !== null ? ["threshold"] : []),
    ...["found", "missed", "hit", "false", "alert", "drift"].filter((kind) =>
      happenings(track).some((thing) => thing.kind === kind)),
  ];
  const list = element("ul", "legend");
  const paint = kinds.map((kind) => {
    const canvas = element("canvas", "");
    canvas.setAttribute("aria-hidden", "true");
    list.append(element("li", "", canvas, element("span", "", WORDS[kind])));
    return () => {
      const ratio = window.devicePixelRatio || 1;
      [canvas.width, canvas.height] = [26 * ratio, 16 * ratio];
      const ctx = canvas.getContext("2d");
      ctx.scale(ratio, ratio);
      swatch(ctx, kind);
    };
  });
  return { list, draw: () => paint.forEach((one) => one()) };
}

/** What is known of one moment, for the box beside the pointer. */
function reading(chart, at) {
  const [start, end] = chart.view;
  const pixel = (end - start) / (chart.right - chart.left), reach = 6 * pixel;
  const lines = chart.lanes.map((lane) => {
    const values = around(lane.series, at, 1.5 * pixel) ?? [];
    const words = [...new Set(values.map((value) => number(value, lane.step / 100)))].join(" to ") || "no value";
    const over = lane.color === "score" && lane.threshold !== null && values[1] > lane.threshold ? ", above threshold" : "";
    const name = element("span", "", lane.color === "score" ? "score" : lane.title);
    return element("p", "", name, element("span", "", words + over));
  });
  const here = happenings(chart.track).filter(({ start, end }) =>
    at >= start - reach && at <= (end ?? Infinity) + reach);
  const events = here.slice(0, 6).map((thing) => {
    const words = [WORDS[thing.kind], lasted(thing), thing.note].filter(Boolean);
    return element("p", `event ${thing.kind}`, words.join(" · "));
  });
  return [element("p", "", `${moment(at, pixel)} UTC`), ...lines, ...events];
}

/** Pointer, touch and keys on a chart: a readout everywhere; dragging with a mouse zooms. */
function interact(chart, box, changed) {
  const { canvas } = chart;
  const cursor = element("div", "cursor"), brush = element("div", "brush"), readout = element("div", "readout");
  readout.setAttribute("role", "status");
  box.append(brush, cursor, readout);
  let from = null, x = null;

  const hide = () => { cursor.hidden = brush.hidden = readout.hidden = true; x = null; };
  const within = (event) =>
    Math.min(Math.max(event.clientX - canvas.getBoundingClientRect().left, chart.left), chart.right);
  const show = (to) => {
    x = to;
    cursor.hidden = readout.hidden = false;
    cursor.style.left = `${x}px`;
    cursor.style.height = `${chart.axis.top}px`;
    readout.replaceChildren(...reading(chart, chart.time(x)));
    // On the far side of the cursor, so that neither the pointer nor a finger covers it.
    const right = x < (chart.left + chart.right) / 2;
    readout.style.left = right ? `${x + 14}px` : "auto";
    readout.style.right = right ? "auto" : `${canvas.clientWidth - x + 14}px`;
  };
  const zoom = (start, end) => { chart.zoom(start, end); hide(); changed(); };

  canvas.addEventListener("pointermove", (event) => {
    const to = within(event);
    show(to);
    brush.hidden = from === null;
    if (from === null) return;
    brush.style.left = `${Math.min(from, to)}px`;
    brush.style.width = `${Math.abs(to - from)}px`;
    brush.style.height = `${chart.axis.top}px`;
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return show(within(event));
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    from = within(event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const start = from, to = within(event);
    from = null;
    brush.hidden = true;
    if (start !== null && Math.abs(to - start) > 6) {
      zoom(chart.time(Math.min(start, to)), chart.time(Math.max(start, to)));
    }
  });
  canvas.addEventListener("pointercancel", () => { from = null; hide(); });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  canvas.addEventListener("blur", hide);
  canvas.addEventListener("dblclick", () => zoom(...chart.whole));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") zoom(...chart.whole);
    if (!step) return;
    event.preventDefault();
    const to = (x ?? (chart.left + chart.right) / 2) + step * (event.shiftKey ? 20 : 2);
    show(Math.min(Math.max(to, chart.left), chart.right));
  });
  hide();
  return { zoom, hide };
}

function grid(columns, rows) {
  const isNumber = (cell) => typeof cell === "string" && /^[-+]?[\d.,]+\s?%?$/.test(cell);
  // A column of numbers is set flush right, its heading with it.
  const numeric = columns.map((_, n) => rows.length > 0 && rows.every((row) => isNumber(row[n])));
  const cells = (tag, row) => row.map((cell, n) => element(tag, numeric[n] ? "number" : "", cell));
  const table = element("table", "",
    element("thead", "", element("tr", "", ...cells("th", columns))),
    element("tbody", "", ...rows.map((row) => element("tr", "", ...cells("td", row)))));
  return element("div", "scroll", table);
}

/** Everything that happened as a table, which is also the chart's text for who cannot see it. */
function list(things, show) {
  const details = element("details", "", element("summary", "", `All ${things.length} marks`));
  const rows = () => things.map((thing) => {
    const start = element("button", "", moment(thing.start, SECOND));
    start.addEventListener("click", () => show(thing));
    const kind = element("span", thing.kind, WORDS[thing.kind]);
    return [start, kind, lasted(thing), thing.note];
  });
  // A detector gone wild raises thousands of alerts: their rows are made when someone asks.
  details.addEventListener("toggle", () => details.append(grid(["start (UTC), zooms there", "what", "lasted", "note"], rows())), { once: true });
  return details;
}

function card(track) {
  const head = element("div", "head", element("h2", "", track.device), element("p", "summary", track.summary));
  const section = element("section", "", head);
  if (track.note) section.append(element("p", "note", track.note));
  if (!track.range) {
    section.append(element("p", "note", "No readings."));
    return { section, draw() {} };
  }
  const key = legend(track), chart = new Chart(track), box = element("div", "chart", chart.canvas);
  const reset = element("button", "", "Show all");
  const [start, end] = track.range.map((at) => moment(at, (track.range[1] - track.range[0]) / 1000));
  const size = `${track.readings.toLocaleString("en")} reading${track.readings === 1 ? "" : "s"}, ${start} to ${end}`;
  const hands = interact(chart, box, () => { reset.hidden = !chart.zoomed; });
  reset.hidden = true;
  reset.addEventListener("click", () => hands.zoom(...chart.whole));
  chart.canvas.tabIndex = 0;
  chart.canvas.setAttribute("role", "img");
  chart.canvas.setAttribute("aria-label", `${track.device}: ${track.summary}. ${size}.`);
  section.append(key.list, box, element("div", "foot", element("p", "size", size), reset));

  const things = happenings(track);
  if (things.length) {
    section.append(list(things, ({ start, end }) => {
      const last = end ?? track.range[1];
      const room = Math.max((last - start) * 1.5, (track.range[1] - track.range[0]) / 50);
      hands.zoom(start - room, last + room);
      box.scrollIntoView({ block: "nearest" });
    }));
  }
  const draw = () => { key.draw(); chart.draw(); hands.hide(); };
  new ResizeObserver(draw).observe(box);
  return { section, draw };
}

const data = JSON.parse(document.getElementById("data").textContent);
Object.assign(WORDS, data.words);
const cards = data.tracks.map(card);
document.getElementById("devices").append(...cards.map(({ section }) => section));
document.getElementById("facts").append(...data.facts.map(([name, value]) =>
  element("div", "", element("dt", "", name), element("dd", "", value))));
for (const place of ["lead", "tables"]) {
  document.getElementById(place).append(...data[place].map(({ title, columns, rows }) =>
    element("section", "", element("h2", "", title), grid(columns, rows))));
}
document.documentElement.style.setProperty("--beside", data.beside);

const redraw = () => cards.forEach(({ draw }) => draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
window.addEventListener("resize", redraw); // page zoom changes the pixel ratio and not the box
// Paper is white whatever the screen is: page.css keeps the light colours while this class is set.
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
  window.addEventListener(event, () => {
    document.documentElement.classList.toggle("printing", printing);
    redraw();
  });
}
redraw();
