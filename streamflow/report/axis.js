/* Ticks and the words on them. Times are ms since 1970, always UTC. */

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR, WEEK = 7 * DAY;
const MONTH = 30.5 * DAY;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const TIME_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  DAY, 2 * DAY, WEEK, 2 * WEEK,
];
const MONTH_STEPS = [1, 2, 3, 4, 6, 12, 24, 60, 120, 240, 600, 1200];

/** Multiples of 1, 2 or 5 times a power of ten from low to high, about `count` of them. */
function valueTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((n) => n * power >= rough) ?? 10);
  const first = Math.ceil(low / step), ticks = Math.floor(high / step) - first + 1;
  if (ticks < 2) return valueTicks(low, high, count * 1.5); // one tick tells no distance
  return { at: Array.from({ length: ticks }, (_, n) => (first + n) * step), step };
}

/** A number with the digits that matter where neighbouring ticks are `step` apart. */
function number(value, step) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) {
    const digits = Math.ceil(Math.log10(size / step)) + 1;
    return String(Number(value.toPrecision(Math.min(7, Math.max(1, digits)))).toExponential());
  }
  const decimals = Math.min(12, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  // A value far below the step (20 beside a spike of a million) still shows its leading digits.
  if (size < 10 ** -decimals * 10) return String(Number(value.toPrecision(3)));
  return value.toLocaleString("en", { maximumFractionDigits: decimals });
}

/** Ticks of a time axis: `{at, label, context}`; the context (day, year) is said when it changes. */
function timeTicks(start, end, count) {
  const rough = (end - start) / count;
  const step = TIME_STEPS.find((n) => n >= rough);
  const months = MONTH_STEPS.find((n) => n * MONTH >= rough) ?? MONTH_STEPS.at(-1);
  const ticks = step ? multiples(start, end, step) : firsts(start, end, months);
  if (ticks.length < 2) return timeTicks(start, end, count * 1.5); // as above
  let said = "";
  return ticks.map((at) => {
    const [label, context] = words(new Date(at), step ?? months * MONTH);
    const news = context === said ? "" : context;
    said = context;
    return { at, label, context: news };
  });
}

function multiples(start, end, step) {
  const monday = step >= WEEK ? 4 * DAY : 0; // 1970 began on a Thursday
  const at = [];
  for (let n = Math.ceil((start - monday) / step); n * step + monday <= end; n++) {
    at.push(n * step + monday);
  }
  return at;
}

/** First days of every `step`th month. */
function firsts(start, end, step) {
  const from = new Date(start);
  const month = (from.getUTCFullYear() - 1970) * 12 + from.getUTCMonth();
  const at = [];
  for (let n = Math.floor(month / step) * step; Date.UTC(1970, n) <= end; n += step) {
    if (Date.UTC(1970, n) >= start) at.push(Date.UTC(1970, n));
  }
  return at;
}

function words(date, step) {
  const iso = date.toISOString(), year = String(date.getUTCFullYear());
  const month = MONTHS[date.getUTCMonth()], day = `${date.getUTCDate()} ${month}`;
  if (step < SECOND) return [iso.slice(17, 23), `${day} ${iso.slice(11, 16)}`];
  if (step < MINUTE) return [iso.slice(11, 19), `${day} ${year}`];
  if (step < DAY) return [iso.slice(11, 16), `${day} ${year}`];
  if (step < MONTH) return [day, year];
  return step < 12 * MONTH ? [month, year] : [year, ""];
}

/** A moment in words, as exact as the `grain` in ms deserves. */
function moment(ms, grain) {
  const date = new Date(ms);
  const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${day} ${date.toISOString().slice(11, grain < SECOND ? 23 : grain < MINUTE ? 19 : 16)}`;
}

/** A length of time in its two largest units. */
function duration(ms) {
  const parts = [["d", DAY], ["h", HOUR], ["min", MINUTE], ["s", SECOND], ["ms", 1]];
  const first = parts.findIndex(([, size]) => ms >= size);
  if (first < 0) return "an instant";
  const [unit, size] = parts[first];
  const [next, small] = parts[first + 1] ?? ["", Infinity];
  const rest = Math.floor((ms % size) / small);
  return `${Math.floor(ms / size)} ${unit}` + (rest ? ` ${rest} ${next}` : "");
}
