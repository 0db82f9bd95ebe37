// A cgroup's figures over time, on a canvas. The kernel sends one point a look; a view opened later asks for all of them.
// A point: [seconds, memory, its limit, CPUs, their limit, throttled ms/s, memory pressure, CPU pressure, OOM kills since
// the look before, OOM kills in all, processes, their limit]; null: no limit, or not known here.
const KEEP = 480;
const LEAST_SPAN = 10;
const PLOT = { left: 14, width: 486 };
const MEMORY = { top: 22, height: 78 };
const CPU = { top: 124, height: 78 };
const HEIGHT = 208;
const COLOURS = { memory: "#2b7de9", cpu: "#2a9d55", alarm: "#e0444b" };

const bytes = (count) => {
  let value = count;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(value) < 1024) return `${Number(value.toPrecision(4))} ${unit}`;
    value /= 1024;
  }
  return `${Number(value.toPrecision(4))} TiB`;
};
const of = (value, limit) => (limit === null ? value : `${value} of ${limit}`);
const percent = (value) => (value === null ? "not known" : `${value.toFixed(1)} %`);

function facts(point) {
  const [, memory, memoryMax, cpus, cpuMax, throttled, psiMemory, psiCpu, , kills, pids, pidsMax] = point;
  return [
    ["memory", memory === null ? "?" : of(bytes(memory), memoryMax === null ? null : bytes(memoryMax)),
      memoryMax !== null && memory > 0.95 * memoryMax],
    ["CPUs", cpus === null ? "…" : of(cpus.toFixed(2), cpuMax), false],
    ["throttled now", `${Math.round(throttled)} ms/s`, throttled > 0],
    ["OOM kills", kills === null ? "not known" : String(kills), kills > 0],
    ["processes", pids === null ? "?" : of(pids, pidsMax), pidsMax !== null && pids >= pidsMax],
    ["memory pressure", percent(psiMemory), psiMemory > 10],
    ["CPU pressure", percent(psiCpu), psiCpu > 50],
  ];
}

function curve(context, place, points, x, value, cap, colour) {
  const known = points.filter((point) => point[value] !== null);
  const limit = points[points.length - 1][cap];
  const most = Math.max(...known.map((point) => point[value]), limit || 0, 1e-9) * 1.12;
  const floor = place.top + place.height;
  const y = (amount) => floor - (amount / most) * place.height;
  if (known.length) {
    context.beginPath();
    known.forEach((point, n) => context[n ? "lineTo" : "moveTo"](x(point), y(point[value])));
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.stroke();
    context.lineTo(x(known[known.length - 1]), floor);
    context.lineTo(x(known[0]), floor);
    context.globalAlpha = 0.18;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }
  if (limit !== null) {
    context.beginPath();
    context.setLineDash([5, 4]);
    context.moveTo(PLOT.left, y(limit));
    context.lineTo(PLOT.left + PLOT.width, y(limit));
    context.strokeStyle = COLOURS.alarm;
    context.stroke();
    context.setLineDash([]);
  }
}

function paint(canvas, points) {
  const style = getComputedStyle(canvas);
  const theme = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  const scale = window.devicePixelRatio || 1;
  const width = PLOT.left + PLOT.width;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(HEIGHT * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, HEIGHT);
  context.fillStyle = theme("--jp-layout-color2", "#eef1f4");
  for (const place of [MEMORY, CPU]) context.fillRect(PLOT.left, place.top, PLOT.width, place.height);
  if (!points.length) return;
  const first = points[0][0];
  const span = Math.max(LEAST_SPAN, points[points.length - 1][0] - first);
  const x = (point) => PLOT.left + ((point[0] - first) / span) * PLOT.width;
  curve(context, MEMORY, points, x, 1, 2, COLOURS.memory);
  curve(context, CPU, points, x, 3, 4, COLOURS.cpu);
  context.fillStyle = COLOURS.alarm;
  const floor = CPU.top + CPU.height;
  context.globalAlpha = 0.35;
  for (let n = 1; n < points.length; n += 1) {
    const tall = Math.min(1, points[n][5] / 1000) * CPU.height;
    if (tall) context.fillRect(x(points[n - 1]), floor - tall, x(points[n]) - x(points[n - 1]), tall);
  }
  context.globalAlpha = 1;
  context.font = `11px ${theme("--jp-ui-font-family", "sans-serif")}`;
  for (const point of points) {
    if (!point[8]) continue;
    context.fillRect(x(point), MEMORY.top, 1.6, MEMORY.height);
    context.fillText("OOM kill", Math.min(x(point) + 4, width - 54), MEMORY.top + MEMORY.height - 6);
  }
  context.fillStyle = theme("--jp-ui-font-color2", "#57606a");
  context.fillText("memory", PLOT.left, MEMORY.top - 7);
  context.fillText("CPU time (red: throttled)", PLOT.left, CPU.top - 7);
}

const box = (tag, css, parent, text = "") => {
  const made = document.createElement(tag);
  made.style.cssText = css;
  made.textContent = text;
  parent.append(made);
  return made;
};

// A function, so that each gauge has points of its own, shared by its views.
export default () => {
  let points = [];
  const views = new Set();
  const refresh = () => views.forEach((view) => view());

  function initialize({ model }) {
    model.on("msg:custom", (content) => {
      if (content.type === "history") points = content.points;
      else if (content.type === "point") points.push(content.point);
      points = points.slice(-KEEP);
      refresh();
    });
    model.send({ type: "history" });
  }

  function render({ model, el }) {
    const ink = "color:var(--jp-ui-font-color1,#1f2328)";
    const muted = "color:var(--jp-ui-font-color2,#57606a)";
    const frame = box("div", `width:760px;max-width:100%;box-sizing:border-box;border:1px solid var(--jp-border-color1,#c8ced5);
      border-radius:8px;padding:10px 0 6px;${ink};font:13px var(--jp-ui-font-family,sans-serif);
      background:var(--jp-layout-color1,#fff)`, el);
    frame.className = "lab-gauge";
    const head = box("div", "display:flex;justify-content:space-between;padding:0 14px", frame);
    box("strong", "font-size:15px", head, `cgroup ${model.get("name")}`);
    const state = box("span", "font-size:12px", head);
    state.setAttribute("role", "status");
    const body = box("div", "display:flex;flex-wrap:wrap", frame);
    const canvas = box("canvas", `width:${PLOT.left + PLOT.width}px;height:${HEIGHT}px`, body);
    canvas.setAttribute("role", "img");
    const side = box("div", "width:226px;margin:8px 14px 0 16px", body);
    const rows = facts([0, null, null, null, null, 0, null, null, 0, null, null, null]).map(([label]) => {
      const row = box("div", "display:flex;justify-content:space-between;height:26px;white-space:nowrap", side);
      box("span", `${muted};font-size:12px`, row, label);
      return box("span", "font-size:12px", row, "…");
    });
    const view = () => {
      const live = model.get("state") === "live";
      state.textContent = `${live ? "●" : "○"} ${model.get("state")}`;
      state.style.color = live ? COLOURS.cpu : "var(--jp-ui-font-color2,#57606a)";
      paint(canvas, points);
      frame.dataset.n = String(points.length);
      if (!points.length) return;
      const told = facts(points[points.length - 1]);
      told.forEach(([, value, alarm], n) => {
        rows[n].textContent = value;
        rows[n].style.color = alarm ? COLOURS.alarm : "inherit";
        rows[n].style.fontWeight = alarm ? "600" : "400";
      });
      canvas.setAttribute("aria-label", told.map(([label, value]) => `${label}: ${value}`).join("; "));
    };
    views.add(view);
    model.on("change:state", view);
    view();
    return () => {
      views.delete(view);
      model.off("change:state", view);
    };
  }

  return { initialize, render };
};
