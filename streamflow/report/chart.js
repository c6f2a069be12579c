/* One device on one canvas: incidents, signals, alerts and score over a shared time axis. */

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
const BAND_ROW = 20, TITLE = 20, ALERT_ROW = 30, SCORE = 92, AXIS = 34, MARGIN = 8;

/** Undoes `pack` of envelope.py; a NaN value is a gap. */
function unpack({ origin, unit, time, base, value }) {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  return {
    time: Float64Array.from(new Uint32Array(bytes(time)), (n) => origin + unit * n),
    value: Float64Array.from(new Float32Array(bytes(value)), (offset) => base + offset),
  };
}

/** The first index whose time is not before `at`. */
function index(time, at) {
  let low = 0, high = time.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time[middle] < at) low = middle + 1; else high = middle;
  }
  return low;
}

/** Lowest and highest value within `reach` of a moment; else the nearest one, but null in a gap. */
function around({ time, value }, at, reach) {
  let low = Infinity, high = -Infinity;
  for (let n = index(time, at - reach); n < time.length && time[n] <= at + reach; n++) {
    if (value[n] < low) low = value[n];
    if (value[n] > high) high = value[n];
  }
  if (low <= high) return [low, high];
  const after = index(time, at), before = after - 1;
  if (after === 0 || after === time.length || Number.isNaN(value[before])) return null;
  const best = value[at - time[before] < time[after] - at ? before : after];
  return [best, best];
}

/** Lowest and highest of the values, with room around them, or null where there are none. */
function domain(values, ...more) {
  let low = Infinity, high = -Infinity;
  for (const value of [...values, ...more]) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return null;
  const room = (high - low) * 0.07 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

class Chart {
  constructor(track) {
    this.track = track;
    const [start, end] = track.range;
    const room = (end - start) * 0.004 || 500; // a single moment gets a second around it
    this.whole = this.view = [start - room, end + room];
    this.signals = track.signals.map((signal) => ({ name: signal.name, ...unpack(signal) }));
    this.score = track.score && unpack(track.score);
    this.canvas = document.createElement("canvas");
    this.place();
  }

  /** Stacks the rows of the chart; each knows its top and its bottom. */
  place() {
    const tall = { 1: 170, 2: 120 }[this.signals.length] ?? 84;
    let bottom = 0;
    const row = (height, above = 0) => {
      const top = bottom + above;
      bottom = top + height;
      return { top, bottom };
    };
    if (this.track.incidents.length) this.incidents = row(BAND_ROW);
    this.lanes = this.signals.map((series) => ({ ...row(tall, TITLE), series, title: series.name, color: "signal" }));
    this.alerts = row(ALERT_ROW, 2);
    if (this.score) {
      const { threshold } = this.track;
      const title = threshold === null ? "score" : `score, threshold ${number(threshold, Math.abs(threshold) / 100)}`;
      this.lanes.push({ ...row(SCORE, TITLE), series: this.score, title, color: "score", threshold });
    }
    this.plot = { top: this.lanes[0]?.top ?? this.alerts.top, bottom };
    this.axis = row(AXIS);
    this.height = bottom;
  }

  /** Shows a stretch of time: no more than there is, no less than the axis can still tell apart. */
  zoom(start, end) {
    const [first, last] = this.whole;
    const least = Math.max((last - first) / 1e5, 1e-3);
    const middle = (start + end) / 2, half = Math.max(end - start, least) / 2;
    this.view = [Math.max(first, middle - half), Math.min(last, middle + half)];
    this.draw();
  }

  get zoomed() {
    return this.view[0] > this.whole[0] || this.view[1] < this.whole[1];
  }

  x(time) {
    const [start, end] = this.view;
    return this.left + ((time - start) / (end - start)) * (this.right - this.left);
  }

  time(x) {
    const [start, end] = this.view;
    return start + ((x - this.left) / (this.right - this.left)) * (end - start);
  }

  /** Left and right edge of a span on the canvas; a span without end reaches the end of the data. */
  edges({ start, end }) {
    return [this.x(start), this.x(end ?? this.whole[1])];
  }

  draw() {
    const width = this.canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!width) return;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const ctx = (this.ctx = this.canvas.getContext("2d"));
    ctx.scale(ratio, ratio);
    ctx.font = `12px ${FONT}`;
    ctx.lineJoin = "round";

    for (const lane of this.lanes) this.scale(lane);
    const labels = this.lanes.flatMap((lane) => lane.ticks.map((tick) => tick.label));
    // On a phone the plot needs the room more than the row needs its name: its bars say it.
    const named = this.incidents && width > 520;
    const words = [this.track.lane, ...labels, ...(named ? ["incidents"] : [])];
    this.left = Math.ceil(Math.max(...words.map((word) => ctx.measureText(word).width))) + 8;
    this.right = width - MARGIN;

    this.drawAxis();
    if (named) this.text("incidents", this.left - 6, this.incidents.top + 13, "right");
    this.text(this.track.lane, this.left - 6, (this.alerts.top + this.alerts.bottom) / 2 + 4, "right");
    for (const lane of this.lanes) this.drawGrid(lane);
    this.inside(0, () => {
      for (const span of this.track.incidents) {
        band(ctx, span.kind, ...this.edges(span), this.incidents.top, this.plot.bottom);
      }
      this.drawOpenings();
      for (const lane of this.lanes) {
        this.drawLane(lane);
        this.drawTitle(lane);
      }
    });
    this.inside(MARGIN, () => {
      this.drawDrift();
      this.drawIncidents();
      this.drawAlerts();
    });
  }

  /** Paints what may not leave the plot, save for `margin` to its left and right. */
  inside(margin, paint) {
    this.ctx.save();
    this.ctx.beginPath();
    this.ctx.rect(this.left - margin, 0, this.right - this.left + 2 * margin, this.axis.top);
    this.ctx.clip();
    paint();
    this.ctx.restore();
  }

  /** The value axis of a lane: signals use the height for what is in view, the score stays comparable. */
  scale(lane) {
    const { time, value } = lane.series;
    const [start, end] = this.view;
    lane.from = Math.max(0, index(time, start) - 1);
    lane.to = Math.min(time.length, index(time, end) + 1);
    lane.domain = lane.color === "score"
      ? domain(value, ...(lane.threshold === null ? [] : [lane.threshold]))
      : domain(value.subarray(lane.from, lane.to));
    const count = Math.max(2, (lane.bottom - lane.top) / 38);
    const { at, step } = lane.domain ? valueTicks(...lane.domain, count) : { at: [], step: 1 };
    lane.step = step;
    lane.ticks = at.map((value) => ({ value, label: number(value, step) }));
    lane.y = (value) => {
      const [low, high] = lane.domain;
      return lane.bottom - ((value - low) / (high - low)) * (lane.bottom - lane.top);
    };
  }

  text(words, x, y, align, color = "soft") {
    this.ctx.fillStyle = ink(color);
    this.ctx.textAlign = align;
    this.ctx.fillText(words, x, y);
  }

  drawAxis() {
    const { ctx, left, right } = this;
    const ticks = timeTicks(...this.view, Math.max(2, (right - left) / 72));
    ctx.lineWidth = 1;
    ctx.strokeStyle = ink("grid");
    strokes(ctx, ...ticks.map(({ at }) => [[this.x(at), this.plot.top], [this.x(at), this.plot.bottom]]));
    for (const { at, label, context } of ticks) {
      for (const [line, words] of [label, context].entries()) {
        const half = ctx.measureText(words).width / 2;
        const x = Math.min(Math.max(this.x(at), half), right + MARGIN - half);
        this.text(words, x, this.axis.top + 13 + 15 * line, "center", line ? "soft" : "ink");
      }
    }
  }

  drawGrid(lane) {
    const { ctx, left, right } = this;
    ctx.strokeStyle = ink("grid");
    strokes(ctx, ...lane.ticks.map(({ value }) => [[left, lane.y(value)], [right, lane.y(value)]]));
    for (const { value, label } of lane.ticks) this.text(label, left - 6, lane.y(value) + 4, "right");
    ctx.strokeStyle = ink("edge");
    strokes(ctx, [[left, lane.bottom], [right, lane.bottom]]);
    if (!lane.series.value.length) this.text("no values", (left + right) / 2, (lane.top + lane.bottom) / 2, "center");
  }

  /** Names the lane; a rim in the colour of the card keeps the words clear of lines behind them. */
  drawTitle({ title, top, color }) {
    const { ctx, left } = this;
    ctx.save();
    ctx.font = `600 12px ${FONT}`;
    ctx.lineWidth = 4;
    ctx.strokeStyle = ink("card");
    ctx.strokeText(title, left + 1, top - 6);
    this.text(title, left + 1, top - 6, "left", color);
    ctx.restore();
  }

  drawLane(lane) {
    if (!lane.domain) return;
    const { ctx, left, right } = this;
    ctx.save();
    ctx.lineWidth = 1.3;
    ctx.strokeStyle = ctx.fillStyle = ink(lane.color);
    const judged = lane.threshold !== undefined && lane.threshold !== null;
    ctx.globalAlpha = judged ? 0.6 : 1;
    this.trace(lane);
    if (judged) {
      // The same line once more, bolder, where it is above the threshold.
      const y = lane.y(lane.threshold);
      ctx.globalAlpha = 1;
      ctx.lineWidth = 1;
      ctx.setLineDash([5, 3]);
      ctx.strokeStyle = ink("ink");
      strokes(ctx, [[left, y], [right, y]]);
      ctx.setLineDash([]);
      ctx.beginPath();
      ctx.rect(left, lane.top - 2, right - left, y - lane.top + 2);
      ctx.clip();
      ctx.lineWidth = 2.4;
      ctx.strokeStyle = ink(lane.color);
      this.trace(lane);
    }
    ctx.restore();
  }

  trace({ series: { time, value }, from, to, y }) {
    const { ctx } = this;
    // Few readings in view: each gets a dot. A reading alone between two gaps always needs one.
    const dots = to - from < (this.right - this.left) / 12;
    let drawing = false;
    ctx.beginPath();
    for (let n = from; n < to; n++) {
      if (Number.isNaN(value[n])) {
        drawing = false;
        continue;
      }
      const x = this.x(time[n]), height = y(value[n]);
      const alone = !drawing && !(n + 1 < time.length && !Number.isNaN(value[n + 1]));
      if (drawing) ctx.lineTo(x, height); else ctx.moveTo(x, height);
      if (dots || alone) {
        ctx.moveTo(x + 1.6, height);
        ctx.arc(x, height, 1.6, 0, 2 * Math.PI);
        ctx.moveTo(x, height);
      }
      drawing = true;
    }
    ctx.stroke();
  }

  drawDrift() {
    const { ctx } = this;
    const signals = this.lanes.filter((lane) => lane.color === "signal");
    if (!signals.length) return;
    for (const { at } of this.track.drift) {
      const x = this.x(at);
      ctx.save();
      ctx.strokeStyle = ink("drift");
      ctx.lineWidth = 1.2;
      ctx.setLineDash([2, 4]);
      strokes(ctx, [[x, signals[0].top], [x, signals.at(-1).bottom]]);
      ctx.restore();
      driftSymbol(ctx, x, signals.at(-1).bottom);
    }
  }

  /** A solid bar over each incident that says, in a sign and where it fits in a word, how it ended. */
  drawIncidents() {
    const { ctx, left, right } = this;
    if (!this.incidents) return;
    const middle = this.incidents.top + 9;
    for (const span of this.track.incidents) {
      const [start, end] = this.edges(span);
      if (end < left || start > right) continue;
      const from = Math.max(start, left), to = Math.min(Math.max(end, start + 3), right);
      const color = span.kind === "found" ? "good" : "missed";
      const word = ctx.measureText(span.kind).width;
      const fits = to - from > word + 26;
      const x = (from + to) / 2 - (fits ? word / 2 + 2 : 0);
      ctx.fillStyle = ink(color);
      ctx.fillRect(from, middle - 7, to - from, 14);
      disc(ctx, color, span.kind === "found" ? check : cross, x, middle);
      if (fits) this.text(span.kind, x + 9, middle + 4, "left", "card");
    }
  }

  /** A line through all lanes where an alert opened; the data is drawn over it, to stay in sight. */
  drawOpenings() {
    const { ctx } = this;
    ctx.save();
    ctx.lineWidth = 1.3;
    const shown = this.track.alerts.filter(({ start }) => start >= this.view[0] && start <= this.view[1]);
    ctx.globalAlpha = Math.max(0.12, Math.min(1, 30 / shown.length)); // hundreds must not paint a wall
    for (const span of shown) {
      const x = this.x(span.start);
      ctx.strokeStyle = ink(span.kind === "hit" ? "good" : span.kind);
      strokes(ctx, [[x, this.plot.top], [x, this.plot.bottom]]);
    }
    ctx.restore();
  }

  /** A bar as long as the episode, and a symbol where it opened. */
  drawAlerts() {
    const { ctx, left, right } = this;
    const middle = (this.alerts.top + this.alerts.bottom) / 2;
    ctx.strokeStyle = ink("edge");
    ctx.lineWidth = 1;
    strokes(ctx, [[left, middle], [right, middle]]);
    // Hits come last and lie on top: where symbols crowd, the ones that count stay readable.
    const shown = this.track.alerts
      .map((span) => ({ kind: span.kind, edges: this.edges(span) }))
      .filter(({ edges: [start, end] }) => end >= left && start <= right)
      .sort((one, other) => (one.kind === "hit") - (other.kind === "hit"));
    for (const { kind, edges: [start, end] } of shown) {
      ctx.strokeStyle = ctx.fillStyle = ink(kind === "hit" ? "good" : kind);
      if (kind === "false") ctx.strokeRect(start, middle - 3, end - start, 6);
      else ctx.fillRect(start, middle - 4, end - start, 8);
    }
    for (const { kind, edges: [start] } of shown) alertSymbol(ctx, kind, Math.max(start, left), middle);
  }
}
