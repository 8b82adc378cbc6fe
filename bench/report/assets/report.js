"use strict";
// Draws the curves of the page into the elements of class "plot", with uPlot. It asks for nothing:
// what it draws is in the element with the id "data".
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const largest = 6; // nineMax: where the largest latency stands on the axis of percentiles

  // What each kind of picture shows; field is the one of a line that holds its values.
  const kinds = {
    cpu: { field: "cpu", unit: " %" },
    memory: { field: "memory", unit: " MiB" },
    network: { field: "network", unit: " MB/s" },
    switches: { field: "switches", unit: " /s" },
    latency: { unit: " ms" },
  };

  const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // number writes three significant digits, as number.go does.
  function number(v) {
    if (v === 0) return "0";
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v))));
    return Number(v.toPrecision(3)).toLocaleString("en-US", {
      minimumFractionDigits: decimals, maximumFractionDigits: decimals,
    });
  }

  function short(v) {
    for (const [factor, symbol] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
      if (Math.abs(v) >= factor) return Number((v / factor).toPrecision(4)) + symbol;
    }
    return String(Number(v.toPrecision(4)));
  }

  function percentile(x) {
    if (x >= largest) return "max";
    return Number((100 - 100 * Math.pow(10, -x)).toFixed(Math.max(0, Math.ceil(x - 1) - (x > 2 ? 1 : 0)))) + " %";
  }

  // linesOf returns what a picture shows: for each peer its index, times or percentiles, and values.
  function linesOf(scenario, kind) {
    if (kind === "latency") return scenario.curves.map((c) => ({ peer: c.peer, x: c.nines, y: c.ms }));
    const field = kinds[kind].field;
    return scenario.lines.filter((l) => l[field]).map((l) => ({ peer: l.peer, x: l.seconds, y: l[field] }));
  }

  // nearest lets the legend show a peer's value where another one has a sample.
  function nearest(u, series, at) {
    const values = u.data[series];
    for (let d = 0; d < 3; d++) {
      if (values[at - d] != null) return at - d;
      if (values[at + d] != null) return at + d;
    }
    return at;
  }

  function seriesOf(line, unit) {
    const peer = data.peers[line.peer];
    return {
      label: peer.name,
      stroke: () => variable("--p" + line.peer),
      width: peer.width,
      dash: peer.dash,
      spanGaps: true,
      points: { show: false },
      value: (u, v) => (v == null ? "" : number(v) + unit),
    };
  }

  function axis(more) {
    return Object.assign({
      stroke: () => variable("--faint"),
      grid: { stroke: () => variable("--grid"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
      labelFont: "11px system-ui, sans-serif",
    }, more);
  }

  // decades keeps the powers of ten.
  const decades = (u, splits) => splits.map((v) => (Math.abs(Math.log10(v) % 1) < 1e-9 ? v : null));

  const timeAxis = () => axis({ size: 26, space: 50, label: "seconds since the measurement began", labelSize: 16, labelGap: 0 });

  const percentileAxis = () => axis({
    size: 28,
    splits: () => [0.30103, 1, 2, 3, 4, 5, largest],
    values: (u, splits) => splits.map(percentile),
  });

  // bounds marks where the measurement began and ended.
  function bounds(seconds) {
    return (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.strokeStyle = variable("--faint");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      for (const at of [0, seconds]) {
        const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      ctx.restore();
    };
  }

  // table aligns the lines for uPlot; a logarithmic axis has no place for 0.
  function table(lines, log) {
    const tables = lines.map((l) => [l.x, log ? l.y.map((v) => (v > 0 ? v : null)) : l.y]);
    return tables.length > 1 ? uPlot.join(tables) : tables[0];
  }

  function optionsOf(place, lines) {
    const { kind, log } = place;
    const scenario = data.scenarios[place.scenario];
    const time = kind !== "latency";
    return {
      width: place.width(),
      height: time ? 210 : 280,
      padding: [10, 14, 0, 0],
      cursor: {
        y: false,
        dataIdx: nearest,
        points: { size: 6 },
        drag: { x: false, y: false },
        sync: time ? { key: "scenario" + place.scenario, scales: ["x", null] } : undefined,
      },
      scales: {
        x: { time: false, range: time ? undefined : () => [0.25, largest + 0.05] },
        y: log
          ? { distr: 3, log: 10, range: (u, min, max) => (min == null ? [0.1, 10] : uPlot.rangeLog(min, max, 10, true)) }
          : { range: (u, min, max) => [0, max > 0 ? max * 1.06 : 1] },
      },
      axes: [
        time ? timeAxis() : percentileAxis(),
        axis({ size: 52, space: 34, grid: { ...axis().grid, ...(log && { filter: decades }) }, values: (u, splits) => splits.map((v) => (v == null ? "" : short(v))) }),
      ],
      series: [
        { label: time ? "time" : "percentile", value: (u, v) => (v == null ? "" : time ? number(v) + " s" : percentile(v)) },
        ...lines.map((l) => seriesOf(l, kinds[kind].unit)),
      ],
      legend: { markers: { width: 2, stroke: (u, i) => (i ? "var(--p" + lines[i - 1].peer + ")" : "transparent"), dash: (u, i) => (u.series[i].dash ? "dashed" : "solid") } },
      hooks: { draw: time ? [bounds(scenario.seconds)] : [] },
    };
  }

  // draw fills a place anew.
  function draw(place) {
    const lines = linesOf(data.scenarios[place.scenario], place.kind);
    if (place.chart) place.chart.destroy();
    place.node.textContent = "";
    place.chart = new uPlot(optionsOf(place, lines), table(lines, place.log), place.node);
  }

  // scales offers both scales of the values.
  function scales(place) {
    const area = place.node.parentNode.querySelector(".scales");
    const buttons = ["linear", "log"].map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.onclick = () => { place.log = name === "log"; press(); draw(place); };
      area.append(button);
      return button;
    });
    function press() {
      buttons.forEach((b) => b.setAttribute("aria-pressed", String((b.textContent === "log") === place.log)));
    }
    press();
  }

  let printing = false;
  const printedWidth = { wide: 680, half: 325 }; // of A4, in CSS pixels

  const places = [...document.querySelectorAll(".plot")].map((node) => ({
    node,
    scenario: Number(node.dataset.scenario),
    kind: node.dataset.kind,
    log: node.dataset.kind === "latency",
    width() {
      const wide = node.parentNode.classList.contains("wide");
      return printing ? printedWidth[wide ? "wide" : "half"] : Math.max(node.clientWidth, 200);
    },
  }));

  function print(on) {
    printing = on;
    root.classList.toggle("print", on);
    places.forEach(draw);
  }

  places.forEach((p) => { scales(p); draw(p); });
  const resized = new ResizeObserver((entries) => {
    if (printing) return;
    for (const e of entries) {
      const place = places.find((p) => p.node === e.target);
      if (place.chart.width !== place.width()) place.chart.setSize({ width: place.width(), height: place.chart.height });
    }
  });
  places.forEach((p) => resized.observe(p.node));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
