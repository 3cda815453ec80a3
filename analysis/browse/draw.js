// Elements, marks and charts. Text is only ever set as text.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {}))
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children.flat().filter(one => one !== null && one !== undefined));
  return node;
}
const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Shapes as well as colours tell labels apart.
const SHAPES = {
  circle: "M-3.4,0a3.4,3.4 0 1,0 6.8,0a3.4,3.4 0 1,0 -6.8,0", square: "M-3,-3h6v6h-6z", diamond: "M0,-4.2L4.2,0L0,4.2L-4.2,0z",
  up: "M0,-4L4,3H-4z", down: "M0,4L4,-3H-4z", cross: "M-3,-3L3,3M3,-3L-3,3", plus: "M-3.6,0H3.6M0,-3.6V3.6",
};
const IN_TURN = ["square", "up", "down"];
function shapeOf(labels, name) {
  const fixed = { intended: "circle", mixed: "diamond", incapable: "cross", undetermined: "plus" }[name];
  return fixed || IN_TURN[labels.filter(one => one.includes(":")).indexOf(name) % IN_TURN.length];
}
function inkOf(colour, name) {
  return { incapable: "var(--soft)", undetermined: "var(--faint)" }[name] || `var(--c${colour.slice(1).toLowerCase()}, ${colour})`;
}
function mark(shape, ink, more) {
  const open = shape === "cross" || shape === "plus";
  return draw("path", { d: SHAPES[shape], fill: open ? "none" : ink, stroke: open ? ink : "var(--paper)", "stroke-width": open ? 1.6 : 0.5, ...more });
}
const chip = (shape, ink, text) => make("span", { class: "chip" }, draw("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, mark(shape, ink)), text);

// The values of a factor that is no label: from one end of a scale to the other.
const shade = (place, count) => count < 2 ? "var(--link)" : `color-mix(in oklab, var(--cd55e00), var(--c0072b2) ${Math.round(100 * place / (count - 1))}%)`;

const text = (x, y, words, more) => draw("text", { x, y, ...more }, String(words));
const short = value => value === null || value === undefined ? "–" : Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(+value.toPrecision(3));
const fixed = value => value === null || value === undefined ? "–" : value.toFixed(2);
const interval = cell => `${fixed(cell[1])} [${fixed(cell[2])}, ${fixed(cell[3])}]`;

// Round numbers between two ends.
function ticks(low, high, count) {
  const step0 = (high - low) / count, power = 10 ** Math.floor(Math.log10(step0 || 1));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= step0) || step0;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9 * step; at += step) found.push(+at.toPrecision(12));
  return found;
}

// Lines over a common axis; series: [{name, ink, y}], with null where there is nothing.
function chart(x, series, { width, height = 150, bounds, title }) {
  const every = series.flatMap(one => one.y).filter(one => one !== null);
  let [low, high] = bounds || [Math.min(...every), Math.max(...every)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const left = 44, right = 8, top = 8, bottom = 20;
  const [first, last] = [x[0], x[x.length - 1]];
  const across = at => left + (width - left - right) * (last === first ? 0.5 : (at - first) / (last - first));
  const up = at => top + (height - top - bottom) * (1 - (at - low) / (high - low));
  const node = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
  for (const at of ticks(low, high, 3))
    node.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: up(at), y2: up(at) }), text(left - 5, up(at) + 4, short(at), { "text-anchor": "end" }));
  for (const at of last === first ? [first] : ticks(first, last, 4)) node.append(text(across(at), height - 5, short(at), { "text-anchor": "middle" }));
  for (const one of series) {
    const points = one.y.map((y, place) => y === null ? null : `${across(x[place]).toFixed(1)},${up(y).toFixed(1)}`).filter(Boolean);
    node.append(draw("polyline", { points: points.join(" "), fill: "none", stroke: one.ink, "stroke-width": 1.6 }, draw("title", {}, one.name)));
    if (points.length < 9) for (const point of points) node.append(draw("circle", { cx: point.split(",")[0], cy: point.split(",")[1], r: 2.6, fill: one.ink }));
  }
  return node;
}

const LEFT = 40, RIGHT = 8, RATES = 150, DOTS = 150;

// One panel: rates over seeds with their intervals above, a dot a seed below. Returns its svg and where its marks are.
function panel(given) {
  const { width, names, title, series, dots, rates, bounds, measure, rateTitle, joined } = given;
  const long = Math.max(...names.map(one => one.length)), room = (width - LEFT - RIGHT) / names.length;
  const tilted = long * 6.2 > room - 4, below = tilted ? Math.min(90, 18 + long * 4.4) : 22;
  const top = 20, middle = top + (rates ? RATES + 30 : 0), bottom = middle + (measure ? DOTS : 0), height = bottom + below + (given.x ? 16 : 0);
  const across = at => LEFT + room * (at + 0.5);
  const upRate = at => top + RATES * (1 - at), upDot = at => middle + DOTS * (1 - (at - bounds[0]) / (bounds[1] - bounds[0]));
  const node = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
  const axis = (up, from, to, marks, words) => {
    for (const at of marks) node.append(draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: up(at), y2: up(at) }), text(LEFT - 6, up(at) + 4, short(at), { "text-anchor": "end" }));
    node.append(draw("line", { class: "axis", x1: LEFT, x2: LEFT, y1: from, y2: to }), text(LEFT, from - 7, words));
  };
  if (rates) axis(upRate, top, top + RATES, [0, 0.5, 1], rateTitle);
  if (measure) axis(upDot, middle, bottom, ticks(bounds[0], bounds[1], 2), measure);
  names.forEach((name, at) => {
    const turn = tilted ? { "text-anchor": "end", transform: `rotate(-38 ${across(at) + 4} ${bottom + 14})` } : { "text-anchor": "middle" };
    const cut = tilted && name.length > 20 ? `${name.slice(0, 19)}…` : name;
    node.append(text(across(at) + (tilted ? 4 : 0), bottom + (tilted ? 14 : 16), cut, turn));
  });
  if (given.x) node.append(text((LEFT + width - RIGHT) / 2, height - 3, given.x, { "text-anchor": "middle" }));
  const marks = [];
  const slot = Math.min(11, 0.7 * room / Math.max(1, series.length));
  if (rates)
    series.forEach((one, place) => {
      const shift = (place - (series.length - 1) / 2) * slot;
      const points = one.points.map(point => ({ ...point, x: across(point.at) + shift, y: upRate(point.cell[1]) }));
      if (joined && points.length > 1) node.append(draw("polyline", { points: points.map(point => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join(" "), fill: "none", stroke: one.ink, "stroke-width": 1.2, opacity: 0.55 }));
      for (const point of points) {
        node.append(draw("line", { x1: point.x, x2: point.x, y1: upRate(point.cell[2]), y2: upRate(point.cell[3]), stroke: one.ink, "stroke-width": 1.8 }), mark(one.shape, one.ink, { transform: `translate(${point.x.toFixed(1)},${point.y.toFixed(1)})` }));
        marks.push({ x: point.x, y: point.y, words: point.words });
      }
    });
  const layer = draw("g", {}), rings = draw("g", {});
  for (const dot of dots) {
    const x = across(dot.at) + dot.shift * room, y = upDot(dot.y);
    layer.append(mark(dot.shape, dot.ink, { class: "dot", transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`, opacity: 0.75 }));
    if (dot.odd) rings.append(draw("circle", { class: "ring", cx: x, cy: y, r: 6 }));
    marks.push({ x, y, words: dot.words, dot: dot.index });
  }
  node.append(layer, rings);
  return { node, marks };
}
