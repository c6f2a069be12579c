/* What marks alerts, incidents and drift. Each kind has a shape as well as a colour of its own. */

const SYMBOL = 6.5;

/** The colour that page.css gives a name now: light, dark or printing. */
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function strokes(ctx, ...lines) {
  ctx.beginPath();
  for (const [first, ...rest] of lines) {
    ctx.moveTo(...first);
    for (const point of rest) ctx.lineTo(...point);
  }
  ctx.stroke();
}

const check = (ctx, x, y) => strokes(ctx, [[x - 3, y], [x - 1, y + 2.5], [x + 3.2, y - 2.8]]);
const cross = (ctx, x, y) => strokes(ctx, [[x - 2.4, y - 2.4], [x + 2.4, y + 2.4]], [[x + 2.4, y - 2.4], [x - 2.4, y + 2.4]]);

const shout = (ctx, x, y) => strokes(ctx, [[x, y - 3.6], [x, y + 0.6]], [[x, y + 2.8], [x, y + 3.6]]);

/** A filled disc with a sign in it. */
function disc(ctx, color, sign, x, y) {
  ctx.fillStyle = ink(color);
  ctx.strokeStyle = ink("card");
  ctx.lineWidth = 1.7;
  ctx.beginPath();
  ctx.arc(x, y, SYMBOL + 0.5, 0, 2 * Math.PI);
  ctx.fill();
  sign(ctx, x, y);
}

/** Hit: a disc with a check. False: a hollow diamond with a cross. Not judged: a solid diamond. */
function alertSymbol(ctx, kind, x, y) {
  if (kind === "hit") return disc(ctx, "good", check, x, y);
  const [fill, sign] = kind === "false" ? ["card", cross] : ["alert", shout];
  ctx.lineWidth = 1.7;
  ctx.fillStyle = ink(fill);
  ctx.strokeStyle = ink(kind);
  ctx.beginPath();
  polygon(ctx, x, y, [0, 1, 2, 3], SYMBOL + 1.5);
  ctx.fill();
  ctx.stroke();
  if (kind === "alert") ctx.strokeStyle = ink("card");
  sign(ctx, x, y);
}

/** Corners at the given quarter turns, counted from the right, clockwise. */
function polygon(ctx, x, y, quarters, radius) {
  for (const quarter of quarters) {
    const angle = (quarter * Math.PI) / 2;
    ctx.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  ctx.closePath();
}

function driftSymbol(ctx, x, y) {
  ctx.fillStyle = ink("drift");
  ctx.beginPath();
  polygon(ctx, x, y - 4, [-1, 1 / 3, 5 / 3], 6);
  ctx.fill();
}

/** A labelled incident: a plain tint where found, hatched with a dashed edge where missed. */
function band(ctx, kind, left, right, top, bottom) {
  const width = Math.max(right - left, 3);
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = ink(kind === "found" ? "good" : "missed");
  ctx.globalAlpha = 0.13;
  ctx.fillRect(left, top, width, bottom - top);
  ctx.beginPath();
  ctx.rect(left, top, width, bottom - top);
  ctx.globalAlpha = 0.55;
  if (kind === "missed") ctx.setLineDash([4, 3]);
  strokes(ctx, [[left, top], [left, bottom]], [[left + width, top], [left + width, bottom]]);
  if (kind === "missed") {
    ctx.setLineDash([]);
    ctx.globalAlpha = 0.22;
    ctx.beginPath();
    ctx.rect(left, top, width, bottom - top);
    ctx.clip();
    const height = bottom - top, lines = [];
    // Hatching hangs on the origin of the page, so that bands which meet do not jar.
    for (let x = Math.floor((left - height) / 8) * 8; x < left + width; x += 8) {
      lines.push([[x, bottom], [x + height, top]]);
    }
    strokes(ctx, ...lines);
  }
  ctx.restore();
}

/** What the legend shows beside the word for each kind of thing. */
function swatch(ctx, kind) {
  ctx.lineWidth = 1.8;
  if (kind === "signal" || kind === "score" || kind === "threshold") {
    ctx.strokeStyle = ink(kind === "threshold" ? "ink" : kind);
    if (kind === "threshold") ctx.setLineDash([5, 3]);
    strokes(ctx, [[1, 8], [25, 8]]);
  } else if (kind === "found" || kind === "missed") band(ctx, kind, 2, 24, 1, 15);
  else if (kind === "drift") driftSymbol(ctx, 13, 13);
  else alertSymbol(ctx, kind, 13, 8);
}
