// What is chosen, what is asked of the server (or found in the page), and what a click leads to.
const { choices: first, held } = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const PLACES = ["x", "colour", "rows", "columns"];
const POLL = 3000;
let choices = first, view = null, shown = [], spots = [], at = -1, asked = 0, wide = 0;
const state = { ...first.usual, rate: "", where: {}, labels: [], lane: null };

const factor = name => choices.factors.find(one => one.name === name);
const labelNames = () => choices.labels.map(one => one.name);
const label = name => choices.labels.find(one => one.name === name);
const labelChip = (name, words) => label(name) ? chip(shapeOf(labelNames(), name), inkOf(label(name).colour, name), words || name) : make("span", {}, words || name);
const labelOf = goal => labelNames().find(name => name.includes(":") && name.slice(name.indexOf(":") + 1) === goal) || "intended";
const goalInk = goal => { const name = labelOf(goal); return label(name) ? inkOf(label(name).colour, name) : "var(--link)"; };
const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

// The address keeps what is chosen, so that a figure can be sent and comes back on reload.
function remember() {
  const kept = new URLSearchParams();
  for (const key of [...PLACES, "measure", "rate"]) if ((state[key] || "") !== (choices.usual[key] || "")) kept.set(key, state[key] || "");
  for (const [key, value] of Object.entries(state.where)) kept.append("where", `${key}=${value}`);
  for (const one of state.labels) kept.append("label", one);
  if (state.lane) kept.set("lane", state.lane.join("/"));
  history.replaceState(null, "", `#${kept}`);
}
function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const key of PLACES) if (kept.has(key)) state[key] = factor(kept.get(key)) ? kept.get(key) : null;
  if (choices.measures.includes(kept.get("measure"))) state.measure = kept.get("measure");
  if (labelNames().includes(kept.get("rate"))) state.rate = kept.get("rate");
  for (const one of kept.getAll("where")) {
    const cut = one.indexOf("="), key = one.slice(0, cut), value = one.slice(cut + 1);
    if (factor(key) && factor(key).values.includes(value)) state.where[key] = value;
  }
  state.labels = kept.getAll("label").filter(one => labelNames().includes(one));
  if (kept.has("lane")) state.lane = kept.get("lane").split("/");
}

function question() {
  const kept = new URLSearchParams();
  for (const key of [...PLACES, "measure"]) if (state[key]) kept.set(key, state[key]);
  for (const [key, value] of Object.entries(state.where)) kept.append("where", `${key}=${value}`);
  for (const one of state.labels) kept.append("label", one);
  return kept;
}
async function get(path, query) {
  let answer;
  try { answer = await fetch(`/api/${path}?${query || ""}`); } catch { throw new Error("The server does not answer: it has stopped. Start chisel browse again."); }
  const found = await answer.json().catch(() => ({ error: `The server failed (${answer.status}); its terminal says why.` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}
function complain(error) {
  $("error").hidden = !error;
  $("error").textContent = error ? error.message || String(error) : "";
}

// Of a page that holds its data: the same answers.
function heldView() {
  const chosen = PLACES.map(place => state[place]).filter(Boolean), by = [...choices.factors.keys()].filter(place => chosen.includes(choices.factors[place].name));
  const rates = held.rates[by.join()];
  if (!rates) throw new Error("This page does not hold the rates by so many factors; chisel browse has them.");
  const all = held.dots, kept = all.seed.map((_, i) => i).filter(i => all.y[state.measure][i] !== null && (!state.labels.length || state.labels.includes(labelNames()[all.label[i]])));
  const pick = list => kept.map(i => list[i]);
  const places = Object.fromEntries(Object.entries(all.at).map(([name, list]) => [name, pick(list)]));
  const dots = { ...all, master_seed: pick(all.master_seed), condition: pick(all.condition), seed: pick(all.seed), label: pick(all.label), y: pick(all.y[state.measure]), at: places, outliers: kept.map((i, place) => all.outliers.includes(i) ? place : -1).filter(i => i >= 0), of: state.labels.length ? kept.length : all.of, without: 0 };
  return { rates, dots, lines: rates.lines, version: 0 };
}

async function update() {
  remember();
  const turn = ++asked;
  try {
    const found = held ? heldView() : await get("view", question());
    if (turn !== asked) return;
    if (found.version !== choices.version && !held) choices = await get("choices");
    view = found;
    complain(null);
    show();
  } catch (error) { if (turn === asked) complain(error); }
}

function show() {
  if (!view) return;
  controls(); legend(); figure(); notes(); numbers();
  $("about").textContent = `${count(choices.seeds, "policy").replace(/policys$/, "policies")} in ${count(choices.conditions, "condition")} · ${choices.worlds.join(", ")} · ${choices.learners.join(", ")}`;
}

function select(name, words, options, value, change) {
  const node = make("select", { name, onchange: event => change(event.target.value) }, options.map(([key, text]) => make("option", { value: key, selected: key === value }, text)));
  return make("label", {}, words, node);
}
function controls() {
  const held_focus = document.activeElement && document.activeElement.name;
  const factors = choices.factors.map(one => [one.name, one.name]), none = [["", "–"]];
  const place = (key, words, empty) => select(key, words, [["", empty], ...factors], state[key] || "", value => { state[key] = value || null; update(); });
  const nodes = factors.length ? [place("x", "Axis", "all seeds together"), place("colour", "Colour", choices.labels.length ? "label" : "–"), place("columns", "Columns", "–"), place("rows", "Rows", "–")] : [];
  if (state.colour && choices.labels.length) nodes.push(select("rate", "Rate of", choices.labels.map(one => [one.name, one.name]), rateOf(), value => { state.rate = value; remember(); show(); }));
  nodes.push(select("measure", "A dot shows", choices.measures.map(one => [one, one]), state.measure, value => { state.measure = value; update(); }));
  if (!held) for (const one of choices.factors.filter(one => !one.intervals && !PLACES.some(place => state[place] === one.name)))
    nodes.push(select(`where ${one.name}`, `Only ${one.name}`, [["", "all"], ...one.values.map(value => [value, value])], state.where[one.name] || "", value => { if (value) state.where[one.name] = value; else delete state.where[one.name]; update(); }));
  const buttons = make("div", { class: "buttons" }, choices.labels.length ? make("button", { type: "button", id: "outliers", onclick: outliers }, "Outliers") : null, make("button", { type: "button", id: "lines", onclick: lines }, "Copy as a line"));
  $("choose").replaceChildren(...nodes, buttons);
  if (held_focus && $("choose").elements[held_focus]) $("choose").elements[held_focus].focus();
}
const rateOf = () => state.rate || (label(labelOf(state.measure.replace(/^share\./, ""))) || choices.labels[0]).name;

function legend() {
  const totals = labelNames().map((_, place) => view.rates.groups.reduce((sum, group) => sum + group.cells[place][0], 0));
  const toggle = name => { state.labels = state.labels.includes(name) ? state.labels.filter(one => one !== name) : [...state.labels, name]; update(); };
  const items = labelNames().map((name, place) => make("li", {}, make("button", { type: "button", "aria-pressed": String(state.labels.includes(name)), title: `Show the seeds with this label alone`, onclick: () => toggle(name) }, state.colour ? chip(shapeOf(labelNames(), name), "var(--soft)", name) : labelChip(name), make("b", {}, totals[place].toLocaleString("en")))));
  const given = state.colour ? factor(state.colour).values.map((value, place, all) => make("li", { class: "chip" }, chip("circle", shade(place, all.length), `${state.colour} = ${value}`))) : [];
  const clear = state.labels.length ? make("li", {}, make("button", { type: "button", onclick: () => { state.labels = []; update(); } }, "all labels")) : null;
  $("legend").replaceChildren(...[...items, clear, ...given].filter(Boolean));
}

// Every panel: the groups and dots that have its values of rows and columns.
function figure() {
  wide = $("figure").clientWidth;
  const valuesOf = place => state[place] ? factor(state[place]).values : [null];
  const rowValues = valuesOf("rows"), columnValues = valuesOf("columns");
  const most = Math.max(1, Math.floor((wide + 16) / 236)), across = Math.min(columnValues.length, most);
  const width = Math.min(columnValues.length === 1 ? 1000 : 520, Math.floor((wide - 16 * (across - 1)) / across));
  const { dots, rates } = view, has = choices.labels.length > 0, share = /^(share|undecided|outcome|success|efficiency|unseen)/.test(state.measure);
  const low = Math.min(...dots.y), high = Math.max(...dots.y), gap = (high - low || 1) * 0.06;
  const bounds = share ? [0, 1] : dots.y.length ? [low - gap, high + gap] : [0, 1];
  const odd = new Set(dots.outliers), turn = new Map(), inside = new Map();
  dots.y.forEach((_, i) => {
    const key = `${state.rows ? dots.at[state.rows][i] : 0},${state.columns ? dots.at[state.columns][i] : 0}`;
    if (!inside.has(key)) inside.set(key, []);
    inside.get(key).push(i);
  });
  spots = [];
  const nodes = rowValues.map((row, r) => {
    const panels = columnValues.map((column, c) => {
      const title = [state.columns && `${state.columns} = ${column}`, state.rows && `${state.rows} = ${row}`].filter(Boolean).join(", ");
      const inPanel = inside.get(`${r},${c}`) || [], series = has ? seriesOf(rates, r, c) : [];
      const head = state.columns ? make("h3", {}, `${state.columns} = ${column}`) : null;
      if (!inPanel.length && !series.some(one => one.points.length)) return make("div", { class: "panel" }, head, make("p", { class: "note" }, "no seeds"));
      const drawn = panel({
        width, title: title || "all seeds", names: state.x ? factor(state.x).values : ["all seeds"], x: state.x,
        joined: Boolean(state.x) && factor(state.x).numeric, bounds, measure: `${state.measure}, a dot a seed`, rates: has,
        rateTitle: state.colour ? `share of seeds labelled ${rateOf()}` : "share of all seeds",
        series, dots: inPanel.map(i => dotOf(i, turn, odd)),
      });
      const start = spots.length;
      spots.push(...drawn.marks.map(one => ({ ...one, svg: drawn.node })));
      drawn.node.addEventListener("pointermove", event => hover(event, start, start + drawn.marks.length));
      drawn.node.addEventListener("pointerleave", () => tip(null));
      drawn.node.addEventListener("click", event => { const found = nearest(event, start, start + drawn.marks.length, true); if (found) choose(found.dot); });
      return make("div", { class: "panel" }, head, drawn.node);
    });
    const grid = make("div", { class: "panels", style: `grid-template-columns: repeat(${across}, ${width}px)` }, panels);
    return state.rows ? make("section", { class: "row" }, make("h2", {}, `${state.rows} = ${row}`), grid) : grid;
  });
  $("figure").replaceChildren(...nodes);
  shown = spots.filter(one => one.dot !== undefined);
  at = -1;
  ring();
}
function seriesOf(rates, r, c) {
  const place = name => rates.by.indexOf(name), colour = state.colour;
  const groups = rates.groups.filter(one => (!state.rows || one.at[place(state.rows)] === r) && (!state.columns || one.at[place(state.columns)] === c));
  const names = labelNames(), told = (one, n, cell) => `${[...rates.by.map((name, i) => `${name} = ${factor(name).values[one.at[i]]}`)].join(", ")}\n${names[n]}: ${interval(cell)}\n${cell[0].toLocaleString("en")} of ${count(one.n, "seed")}`.trim();
  const points = (groups, n) => groups.map(one => ({ at: state.x ? one.at[place(state.x)] : 0, cell: one.cells[n], words: told(one, n, one.cells[n]) })).sort((a, b) => a.at - b.at);
  if (!colour) return names.map((name, n) => ({ name, n })).filter(one => rates.groups.some(group => group.cells[one.n][0])).filter(one => !state.labels.length || state.labels.includes(one.name))
    .map(one => ({ ink: inkOf(label(one.name).colour, one.name), shape: shapeOf(names, one.name), points: points(groups, one.n) }));
  const n = names.indexOf(rateOf()), values = factor(colour).values;
  return values.map((_, value) => ({ ink: shade(value, values.length), shape: "circle", points: points(groups.filter(one => one.at[place(colour)] === value), n) })).filter(one => one.points.length);
}
function dotOf(i, turn, odd) {
  const { dots } = view, name = labelNames()[dots.label[i]], values = state.colour && factor(state.colour).values;
  const where = state.x ? dots.at[state.x][i] : 0, value = values ? dots.at[state.colour][i] : 0;
  const key = `${where},${value},${state.rows ? dots.at[state.rows][i] : 0},${state.columns ? dots.at[state.columns][i] : 0}`, n = turn.get(key) || 0;
  turn.set(key, n + 1);
  const spread = ((n * 0.6180339887 + 0.5) % 1 - 0.5) * 0.76, shift = values ? ((value + 0.5) / values.length - 0.5) * 0.8 + spread / values.length : spread;
  return {
    at: where, shift, y: dots.y[i], index: i, odd: odd.has(i), shape: name ? shapeOf(labelNames(), name) : "circle",
    ink: values ? shade(value, values.length) : name ? inkOf(label(name).colour, name) : "var(--link)",
    words: `seed ${dots.seed[i]}${name ? `, ${name}` : ""}\n${state.measure} ${short(dots.y[i])}${odd.has(i) ? "\namong the outliers" : ""}`,
  };
}

// What is under the pointer, or nearest to it.
function nearest(event, start, stop, dotsAlone) {
  const box = event.currentTarget.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  let best = null, least = (event.pointerType === "touch" ? 26 : 16) ** 2;
  for (let i = start; i < stop; i++) {
    const one = spots[i], far = (one.x - x) ** 2 + (one.y - y) ** 2;
    if (far < least && !(dotsAlone && one.dot === undefined)) { best = one; least = far; }
  }
  return best;
}
function hover(event, start, stop) { tip(nearest(event, start, stop)); }
function tip(one) {
  $("tip").hidden = !one;
  if (!one) return;
  $("tip").textContent = one.words;
  const box = one.svg.getBoundingClientRect(), size = $("tip").getBoundingClientRect();
  $("tip").style.left = `${Math.max(6, Math.min(innerWidth - size.width - 6, box.left + one.x + 12))}px`;
  $("tip").style.top = `${Math.max(6, box.top + one.y - size.height - 10)}px`;
}
const laneOf = i => [view.dots.master_seed[i], view.dots.conditions[view.dots.condition[i]], view.dots.seed[i]];
function ring() {
  document.querySelectorAll(".ring.here").forEach(one => one.remove());
  const found = shown.find((one, place) => place === at) || shown.find(one => state.lane && laneOf(one.dot).join("/") === state.lane.join("/"));
  if (found) found.svg.append(draw("circle", { class: "ring here", cx: found.x, cy: found.y, r: 7.5 }));
}
function choose(dot) { state.lane = laneOf(dot); remember(); openSeed(); }
$("figure").addEventListener("keydown", event => {
  const go = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (event.key === "Enter" && shown[at]) { event.preventDefault(); choose(shown[at].dot); }
  if (go === undefined || !shown.length) return;
  event.preventDefault();
  at = (go + shown.length) % shown.length;
  ring(); tip(shown[at]);
  $("said").textContent = shown[at].words;
  shown[at].svg.scrollIntoView({ block: "nearest" });
});
$("figure").addEventListener("blur", () => tip(null));

function notes() {
  const { dots, rates } = view, found = [...rates.notes], sampled = dots.seed.length < dots.of;
  if (sampled) found.unshift(`${dots.seed.length.toLocaleString("en")} of ${dots.of.toLocaleString("en")} seeds are dots: a sample of every label, spread over conditions, with all outliers. Rates are of all seeds.`);
  if (dots.without) found.push(`${count(dots.without, "seed")} without a value of ${state.measure} ${dots.without === 1 ? "is" : "are"} no dots.`);
  for (const name of PLACES.map(place => state[place])) if (name && factor(name).intervals) found.push(`${name} has many values: they are in intervals with equal counts of seeds, and each rate is of the mixture.`);
  if (choices.crowded.length) found.push(`Too many values for a figure: ${choices.crowded.join(", ")}.`);
  if (choices.labels.length) found.push(`Bars are 95% ${choices.method}s over seeds; rings are outliers.`);
  if (held) found.push(held.rollouts);
  $("notes").replaceChildren(...found.map(one => make("li", {}, one)));
}
function numbers() {
  const { rates } = view, names = labelNames(), most = 200;
  const head = make("tr", {}, rates.by.map(name => make("th", {}, name)), make("th", { class: "r" }, "seeds"), names.map(name => make("th", {}, name)));
  const rows = rates.groups.slice(0, most).map(one => make("tr", {}, one.at.map((value, i) => make("td", {}, factor(rates.by[i]).values[value])), make("td", { class: "r" }, one.n.toLocaleString("en")), one.cells.map(cell => make("td", {}, fixed(cell[1]), " ", make("small", {}, `[${fixed(cell[2])}, ${fixed(cell[3])}]`)))));
  $("numbers").hidden = !rates.groups.length;
  $("numbers").querySelector(".box").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, rows)), rates.groups.length > most ? make("p", { class: "note" }, `The first ${most} of ${rates.groups.length} groups.`) : "");
}

// The side: outliers, lines to copy, or one seed.
function reveal() {
  $("layout").classList.add("open");
  $("side").hidden = false;
}
function open(title, ...nodes) {
  reveal();
  $("side").replaceChildren(make("header", {}, make("h2", {}, title), make("button", { type: "button", id: "close", onclick: close }, "Close")), ...nodes);
  $("side").scrollTop = 0;
  if ($("figure").clientWidth !== wide && view) figure();
}
function close() {
  stop();
  $("side").hidden = true;
  $("layout").classList.remove("open");
  state.lane = null;
  remember();
  if (view) figure();
  $("figure").focus({ preventScroll: true });
}
addEventListener("keydown", event => { if (event.key === "Escape" && !$("side").hidden) close(); });

async function outliers() {
  let found;
  try { found = held ? held.outliers.filter(one => !state.labels.length || state.labels.includes(one.label)) : await get("outliers", question()); } catch (error) { return complain(error); }
  state.lane = null;
  const rows = found.map(one => make("li", {}, make("button", { type: "button", onclick: () => { state.lane = [one.master_seed, one.condition, one.seed]; remember(); openSeed(); } },
    labelChip(one.label), make("span", {}, `seed ${one.seed}`),
    make("small", { class: "soft" }, Object.entries(one.factors).map(([key, value]) => `${key} = ${value}`).join(", ")), make("small", { class: "soft" }, `${one.alike} of ${one.size} alike`))));
  open("Outliers", make("p", { class: "note" }, found.length ? "Seeds that differ most from the others of their condition: first by how few of them have the label, then by how far their shares are from the medians." : "No seed is left."), make("ol", { class: "found" }, rows));
  const button = $("side").querySelector(".found button");
  if (button) button.focus();
}
function code(words, lines) {
  const done = make("span", { class: "note", role: "status" });
  const copy = async () => { try { await navigator.clipboard.writeText(lines); done.textContent = " copied"; } catch { getSelection().selectAllChildren(block); done.textContent = " selected: copy it with the keyboard"; } };
  const block = make("pre", {}, lines);
  return make("div", {}, make("h3", {}, words), block, make("button", { type: "button", onclick: copy }, "Copy"), done);
}
function lines() {
  state.lane = null;
  const found = [view.lines.chisel && code("In a terminal", view.lines.chisel), code("In Python", view.lines.python)];
  if (!view.lines.chisel) found.unshift(make("p", { class: "note" }, "The chisel command has no line for this."));
  open("The same numbers", ...found.filter(Boolean));
  $("close").focus();
}

async function openSeed() {
  const lane = state.lane, [master_seed, condition, seed] = lane;
  ring();
  let one;
  try {
    one = held ? held.seeds[lane.join("/")] : await get("seed", new URLSearchParams({ master_seed, condition, seed }));
    if (!one) throw new Error("This page does not hold that seed; chisel browse shows every one.");
  } catch (error) { return complain(error); }
  if (state.lane !== lane) return;
  stop();
  reveal();  // its charts are as wide as it
  const facts = { condition: one.condition, ...one.factors, ...one.measures };
  const list = make("dl", {}, Object.entries(facts).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)]));
  open(`Seed ${one.seed}`, make("p", { class: "which" }, one.label ? labelChip(one.label) : "", make("span", { class: "soft" }, Object.entries(one.factors).map(([key, value]) => `${key} = ${value}`).join(", "))),
    rolloutPart(one), probesPart(one), throughPart(one), curvePart(one), make("details", {}, make("summary", {}, "All numbers"), list),
    one.policy ? code("Its rollouts, in a terminal", one.lines.chisel) : "", one.policy ? code("Its policy, in Python", one.lines.python) : "");
  ring();
  $("close").focus({ preventScroll: true });
}
const room = () => Math.min(460, $("side").clientWidth - 38);
function curvePart(one) {
  const { update, ...others } = one.curve, names = Object.keys(others), part = make("div", {});
  if (!update || !names.length) return part;
  const paint = name => part.replaceChildren(chart(update, [{ name, ink: "var(--link)", y: others[name] }], { width: room(), title: `${name} over training` }), make("p", { class: "note" }, `${name}, over updates of training`));
  const usual = names.find(name => name === "return_mean") || names[0];
  paint(usual);
  return make("div", { class: "curve" }, make("h3", {}, "Training curve"), select("curve", "", names.map(name => [name, name]), usual, paint), part);
}
const CHOICES = ["choice", "contingency"];
function probesPart(one) {
  if (!one.probes.length) return "";
  const rows = one.probes.map(probe => {
    const choice = CHOICES.includes(probe.kind), part = choice ? probe.share : probe.success, decided = choice ? 1 - (probe.undecided || 0) : 1;
    const goals = Object.keys(part).filter(goal => !probe.goals.length || probe.goals.includes(goal)).slice(0, choice ? undefined : 1);
    const parts = goals.map(goal => make("i", { style: `width: ${100 * decided * (part[goal] || 0)}%; background: ${goalInk(goal)}` }));
    const words = goals.length ? `${goals.map(goal => `${goal} ${fixed(part[goal])}`).join(" · ")}${choice && probe.undecided ? ` · undecided ${fixed(probe.undecided)}` : ""}` : `return ${short(probe.return)}`;
    return make("div", { class: "probe" }, make("span", {}, probe.probe, probe.labels ? make("b", {}, " (labels)") : ""), goals.length ? make("div", { class: "bar", role: "img", "aria-label": words }, parts) : make("span", {}), make("small", {}, words));
  });
  return make("div", { class: "probes" }, make("h3", {}, "On each probe"), rows, make("p", { class: "note" }, "Where goals compete, how often each came first, of episodes in which one did; grey is undecided. Elsewhere, how often the goal was reached. Sampled actions, at the end of training."));
}
function throughPart(one) {
  const { checkpoint, share } = one.through, goals = Object.keys(share);
  if (checkpoint.length < 2 || !goals.length) return "";
  return make("div", {}, make("h3", {}, "Share of each goal through training"), chart(checkpoint, goals.map(goal => ({ name: goal, ink: goalInk(goal), y: share[goal] })), { width: room(), height: 120, bounds: [0, 1], title: "Share of each goal through training" }));
}

// Rollouts: frames of an episode, played like a film.
let timer = null;
function stop() { clearInterval(timer); timer = null; }
function rolloutPart(one) {
  if (one.films) return heldPart(one.films);
  if (!one.policy || !one.plays) return make("p", { class: "note" }, one.policy ? "This page does not hold its rollouts: chisel browse and chisel watch play its policy, which was saved." : "Its policy was not saved (save.policies), so that it cannot be played.");
  const out = make("div", { class: "player" });
  const chosen = { probe: (one.probes.find(probe => probe.labels) || one.probes[0]).probe, episode: 0, greedy: false };
  let turn = 0;
  const play = async () => {
    const now = ++turn;
    stop();
    out.replaceChildren(make("p", { class: "note", role: "status" }, "Playing it … the first of a probe has to be compiled, which takes some seconds."));
    try {
      const query = new URLSearchParams({ master_seed: one.master_seed, condition: one.condition, seed: one.seed, probe: chosen.probe, episode: chosen.episode });
      if (chosen.greedy) query.set("greedy", "");
      const film = await get("rollout", query);
      if (now === turn) { number.max = film.episodes - 1; player(out, film); }
    } catch (error) { if (now === turn) out.replaceChildren(make("p", { class: "note", role: "alert" }, error.message)); }
  };
  const number = make("input", { type: "number", min: 0, value: 0, "aria-label": "episode", onchange: event => { chosen.episode = Math.max(0, +event.target.value || 0); play(); } });
  const greedy = make("input", { type: "checkbox", onchange: event => { chosen.greedy = event.target.checked; play(); } });
  return make("div", { class: "rollouts" }, make("h3", {}, "Rollouts"),
    make("div", { class: "asked" }, make("button", { type: "button", id: "play", onclick: play }, "Play"), select("probe", "", one.probes.map(probe => [probe.probe, probe.probe]), chosen.probe, value => { chosen.probe = value; play(); }),
      make("label", {}, "episode ", number), make("label", {}, greedy, " greedy")), out);
}
function heldPart(films) {  // of a page without a server
  const out = make("div", { class: "player" });
  let chosen = 0;
  const play = () => { stop(); player(out, films[chosen]); };
  return make("div", { class: "rollouts" }, make("h3", {}, "Rollouts"), make("div", { class: "asked" }, make("button", { type: "button", id: "play", onclick: play }, "Play"),
    select("episode", "episode ", films.map((_, place) => [String(place), String(place)]), "0", value => { chosen = +value; play(); })), out);
}
function player(out, film) {
  const last = film.frames.length - 1;
  const image = make("img", { alt: film.caption }), title = make("p", { class: "title" });
  const range = make("input", { type: "range", min: 0, max: last, value: 0, "aria-label": "step", oninput: () => { halt(); to(+range.value); } });
  const toggle = make("button", { type: "button", onclick: () => timer ? halt() : start() }, "Pause");
  const to = step => { const now = Math.max(0, Math.min(last, step)); range.value = now; image.src = film.frames[now]; title.textContent = film.titles[now]; };
  const halt = () => { stop(); toggle.textContent = "Play"; };
  const start = () => { if (+range.value >= last) to(0); toggle.textContent = "Pause"; stop(); timer = setInterval(() => +range.value >= last ? halt() : to(+range.value + 1), 250); };
  out.replaceChildren(image, title, make("div", { class: "controls" }, make("button", { type: "button", "aria-label": "a step back", onclick: () => { halt(); to(+range.value - 1); } }, "‹"), toggle, make("button", { type: "button", "aria-label": "a step on", onclick: () => { halt(); to(+range.value + 1); } }, "›"), range),
    make("ul", { class: "keys" }, film.legend.map(([name, colour]) => make("li", {}, make("i", { style: `background: ${colour}` }), name))), make("p", { class: "note" }, film.caption), film.note ? make("p", { class: "note", role: "alert" }, film.note) : "");
  to(0);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) halt(); else start();
}

// A run that is going on: how far it is, and its seeds so far.
async function poll() {
  try {
    const now = await get("status");
    progress(now);
    if (now.version !== view?.version) await update();
    if (now.folders.some(one => one.lanes.missing) || now.seeds < choices.planned) setTimeout(poll, POLL);
  } catch (error) { complain(error); setTimeout(poll, POLL * 2); }
}
function progress(now) {
  const sum = key => now.folders.reduce((total, one) => total + one.lanes[key], 0), planned = sum("planned"), done = sum("done");
  $("progress").hidden = !sum("missing");
  if (!sum("missing")) return;
  const rate = now.folders.reduce((total, one) => total + (one.lanes_per_second || 0), 0), running = now.folders.map(one => one.running).filter(Boolean);
  const words = [`${done.toLocaleString("en")} of ${planned.toLocaleString("en")} lanes done`, sum("failed") ? `${sum("failed")} failed` : "", sum("diverged") ? `${sum("diverged")} diverged` : "",
    rate && running.length ? `${rate.toPrecision(2)} lanes a second, ${time((planned - done) / rate)} left` : "", running.length ? `${running.join(", ")} is training them` : "nobody here is training them"];
  $("progress").replaceChildren(make("div", {}, make("i", { style: `width: ${100 * done / planned}%` })), `${words.filter(Boolean).join(" · ")}. Rates so far are of ${count(now.seeds, "seed")}; their confidence sequences hold however often one looks.`);
}
const time = seconds => seconds < 100 ? `${Math.ceil(seconds)} s` : seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

$("theme").addEventListener("click", () => {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
$("choose").addEventListener("submit", event => event.preventDefault());
let resized = null;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (view && $("figure").clientWidth !== wide) figure(); }, 120); });
$("title").textContent = choices.title;
recall();
update().then(() => { if (state.lane) openSeed(); });
if (!held && choices.seeds < choices.planned) poll();
