/* The explorer: sliders over the step and the ensemble size move charts of numbers that the page holds as JSON. Without
   this script, and in print, the page shows a picture in its place. d3 draws; nothing is loaded from anywhere. */

(function () {
  "use strict";

  const CALM = window.matchMedia("(prefers-reduced-motion: reduce)");
  const STEPS_PER_SECOND = 40;
  let identifiers = 0;

  // --- Data ---------------------------------------------------------------------------------------------------------

  /* Whole numbers of 8 or 16 bits that divide a range evenly. Returns a function from leading places in the array to
     the numbers that lie there. */
  function unpack({ shape, bits, low, high, values }) {
    const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const scale = (high - low) / (2 ** bits - 1);
    const whole = (place) => (bits === 16 ? view.getUint16(2 * place, true) : bytes[place]);
    const numbers = Float64Array.from({ length: (8 * bytes.length) / bits }, (_, place) => low + scale * whole(place));
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
    return (...places) => {
      const begin = places.reduce((sum, place, axis) => sum + place * strides[axis], 0);
      return numbers.subarray(begin, begin + (places.length ? strides[places.length - 1] : numbers.length));
    };
  }

  /* Numbers at a step between two that are kept. */
  function between(steps, step, at) {
    const after = Math.max(1, Math.min(steps.length - 1, d3.bisectLeft(steps, step)));
    const share = (step - steps[after - 1]) / (steps[after] - steps[after - 1]);
    const [first, second] = [at(after - 1), at(after)];
    return first.map((value, place) => value + share * (second[place] - value));
  }

  /* The ellipse at two standard deviations of a Gaussian, as points. */
  function contour([x, y], [[xx, xy], [, yy]]) {
    const [a, b] = [Math.sqrt(xx), xy / Math.sqrt(xx)];
    const c = Math.sqrt(yy - b * b);
    return d3.range(0, 2 * Math.PI + 0.01, Math.PI / 48).map((angle) => {
      const [u, v] = [2 * Math.cos(angle), 2 * Math.sin(angle)];
      return [x + a * u, y + b * u + c * v];
    });
  }

  function moments(points) {
    const mean = [0, 1].map((k) => d3.mean(points, (point) => point[k]));
    const product = (i, j) =>
      d3.sum(points, (point) => (point[i] - mean[i]) * (point[j] - mean[j])) / (points.length - 1);
    return [mean, [[product(0, 0), product(0, 1)], [product(0, 1), product(1, 1)]]];
  }

  // --- Numbers in words ---------------------------------------------------------------------------------------------

  const decimals = (digits) => (value) => value.toFixed(digits).replace("-", "−");
  const power = (value) => (value === 1 ? "1" : `10⁻${"⁰¹²³⁴⁵"[Math.round(-Math.log10(value))]}`);
  const grouped = (value) => (value < 10 ? String(value) : d3.format(",.0f")(value).replace(/,/g, "\u202f"));

  // --- Controls -----------------------------------------------------------------------------------------------------

  function element(parent, tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  /* A slider with its label and value. `spoken` puts a value into words, for the eye and for a screen reader. */
  function slider(parent, { name, id, max, spoken, ticks = [], onInput }) {
    const box = element(parent, "div", "explorer-slider");
    const label = element(box, "label", "", name);
    const output = element(box, "output");
    const input = element(box, "input");
    Object.assign(input, { type: "range", min: 0, max, step: 1, id });
    label.htmlFor = id;
    output.htmlFor = id;
    input.addEventListener("input", () => onInput(Number(input.value)));
    if (ticks.length) {
      const scale = element(box, "div", "explorer-ticks");
      scale.setAttribute("aria-hidden", "true");
      for (const [place, text] of ticks) {
        const tick = element(scale, "span", "", text);
        tick.style.setProperty("--at", place / max);
      }
    }
    return (value) => {
      input.value = value;
      output.textContent = spoken(value);
      input.setAttribute("aria-valuetext", spoken(value));
    };
  }

  /* Choices of which one holds. */
  function choices(parent, { name, options, onInput }) {
    const box = element(parent, "fieldset", "explorer-choices");
    element(box, "legend", "", name);
    const group = `explorer-${(identifiers += 1)}`;
    const inputs = options.map(([value, text]) => {
      const label = element(box, "label");
      const input = element(label, "input");
      Object.assign(input, { type: "radio", name: group, value });
      element(label, "span", "", text);
      input.addEventListener("change", () => onInput(value));
      return input;
    });
    return (value) => inputs.forEach((input) => (input.checked = input.value === value));
  }

  function buttons(parent, entries) {
    return entries.map(([text, act]) => {
      const button = element(parent, "button", "", text);
      button.type = "button";
      button.addEventListener("click", act);
      return button;
    });
  }

  /* A button that lets a place grow to its end. `step` gives the place after some seconds, or null at the end. */
  function player(parent, { start, advance, status }) {
    let timer = null;
    const [button] = buttons(parent, [["Play", () => (timer ? stop() : play())]]);
    function stop() {
      timer?.stop();
      timer = null;
      button.textContent = "Play";
      status.setAttribute("aria-live", "polite");
    }
    function play() {
      start();
      button.textContent = "Pause";
      status.setAttribute("aria-live", "off");
      let before = 0;
      timer = d3.timer((elapsed) => {
        if (!advance((elapsed - before) / 1000)) stop();
        before = elapsed;
      });
    }
    button.hidden = CALM.matches;
    CALM.addEventListener("change", () => { stop(); button.hidden = CALM.matches; });
    return stop;
  }

  // --- Charts -------------------------------------------------------------------------------------------------------

  const MARGIN = { top: 8, right: 12, bottom: 38, left: 48 };

  /* A chart with axes, as wide as its place. `draw(layer, x, y)` is called whenever the size or the state changes. */
  function chart(board, { title, describe, x, y, xLabel, yLabel, yFormat, xTicks, draw }) {
    const figure = element(board.grid, "div", "explorer-chart");
    const heading = element(figure, "p", "explorer-title", title);
    if (yLabel) element(heading, "span", "", yLabel);
    const box = element(figure, "div", "explorer-canvas");
    const clip = `explorer-clip-${(identifiers += 1)}`;
    const svg = d3.select(box).append("svg").attr("role", "img").attr("aria-label", describe);
    const frame = svg.append("clipPath").attr("id", clip).append("rect");
    const axes = { x: svg.append("g").attr("class", "axis"), y: svg.append("g").attr("class", "axis") };
    const label = svg.append("text").attr("text-anchor", "end").text(xLabel);
    const layer = svg.append("g").attr("clip-path", `url(#${clip})`);
    const above = svg.append("g");

    function resize() {
      const { width, height } = box.getBoundingClientRect();
      if (!width || !height) return;
      const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
      svg.attr("width", width).attr("height", height);
      frame.attr("x", MARGIN.left).attr("y", MARGIN.top - 2)
        .attr("width", right - MARGIN.left + 2).attr("height", bottom - MARGIN.top + 4);
      x.range([MARGIN.left, right]);
      y.range([bottom, MARGIN.top]);
      const across = d3.axisBottom(x).ticks(Math.max(3, width / 75)).tickSizeOuter(0);
      if (xTicks) across.tickValues(xTicks).tickFormat(d3.format("d"));
      const up = d3.axisLeft(y).ticks(Math.max(3, height / 50)).tickSizeOuter(0);
      if (yFormat) yFormat(up);
      axes.x.attr("transform", `translate(0,${bottom})`).call(across);
      axes.y.attr("transform", `translate(${MARGIN.left},0)`).call(up);
      label.attr("x", right).attr("y", height - 4);
      redraw();
    }
    const redraw = () => draw(layer, x, y, above);
    new ResizeObserver(resize).observe(box);
    board.charts.push(() => svg.attr("width") && redraw());
    return { figure, svg, x };
  }

  /* One element of a kind and class in a layer, made when first asked for. */
  function one(layer, tag, className) {
    const found = layer.selectAll(`${tag}.${className.split(" ").join(".")}`);
    return found.empty() ? layer.append(tag).attr("class", className) : found;
  }

  const path = (layer, className, points, x, y, curve = d3.curveLinear) =>
    one(layer, "path", className).attr("d", d3.line((p) => x(p[0]), (p) => y(p[1])).curve(curve)(points));

  const shade = (layer, className, rows, x, y) =>
    one(layer, "path", className).attr("d", d3.area((r) => x(r[0]), (r) => y(r[1]), (r) => y(r[2]))(rows));

  const dots = (layer, className, points, x, y, radius) =>
    one(layer, "g", className).selectAll("circle").data(points).join("circle")
      .attr("r", radius).attr("cx", (p) => x(p[0])).attr("cy", (p) => y(p[1]));

  const numbered = (values) => Array.from(values, (value, place) => [place, value]);

  /* Pressing or dragging in a chart chooses the place under the pointer; a finger may still scroll the page. */
  function draggable({ svg, x }, choose) {
    svg.classed("draggable", true);
    const at = (event) => choose(x.invert(d3.pointer(event, svg.node())[0]));
    svg.on("pointerdown", (event) => { svg.node().setPointerCapture(event.pointerId); at(event); });
    svg.on("pointermove", (event) => event.buttons && at(event));
  }

  /* What all explorers share: controls, a sentence that says what is chosen, and charts drawn once a frame. */
  function panel(root) {
    root.replaceChildren();
    const board = {
      controls: element(root, "div", "explorer-controls"),
      actions: element(root, "div", "explorer-actions"),
      status: document.createElement("p"),
      grid: element(root, "div", "explorer-grid"),
      charts: [],
      waiting: false,
      redraw() {
        if (board.waiting) return;
        board.waiting = true;
        requestAnimationFrame(() => { board.waiting = false; board.charts.forEach((draw) => draw()); });
      },
    };
    board.status.className = "explorer-status";
    board.status.setAttribute("aria-live", "polite");
    return board;
  }

  function legend(parent, entries) {
    const list = element(parent, "ul", "explorer-legend");
    return entries.map(([className, text]) => {
      const entry = element(list, "li", className);
      return element(entry, "span", "", text);
    });
  }

  // --- The autoregression -------------------------------------------------------------------------------------------

  function exploreAr(root, data) {
    const [lag1, lag0, paths, truth] = [data.lag1, data.lag0, data.paths, data.true.energies].map(unpack);
    const last = data.traces[0].reverse_kl.length - 1;
    const largest = data.sizes.length - 1;
    const state = { place: largest, step: 36, before: largest };
    const board = panel(root);
    const { controls, status } = board;
    const model = () => (data.sizes[state.place] === 1 ? "MGDM" : "MF–MGDM");
    const trace = () => data.traces[state.place];
    const cloud = () => {
      const values = [lag1, lag0].map((axis) => between(data.cloud_steps, state.step, (k) => axis(state.place, k)));
      return d3.zip(...values.map((axis) => Array.from(axis)));
    };

    function change(changes) {
      Object.assign(state, changes);
      if (data.sizes[state.place] > 1) state.before = state.place;
      show();
    }
    const byHand = (changes) => { stop(); change(changes); };

    const setModel = choices(controls, {
      name: "Model",
      options: [["MGDM", "MGDM"], ["MF–MGDM", "MF–MGDM"]],
      onInput: (value) => byHand({ place: value === "MGDM" ? data.sizes.indexOf(1) : state.before }),
    });
    const setSize = slider(controls, {
      name: "Ensemble size N",
      id: `${root.id}-size`,
      max: largest,
      spoken: (place) => (data.sizes[place] === 1 ? "1, which is MGDM" : `${data.sizes[place]} paths`),
      ticks: data.sizes.map((size, place) => [place, size]),
      onInput: (place) => byHand({ place }),
    });
    const setStep = slider(controls, {
      name: "Step t",
      id: `${root.id}-step`,
      max: last,
      spoken: (step) => String(step),
      ticks: d3.range(0, last + 1, 50).map((step) => [step, step]),
      onInput: (step) => byHand({ step }),
    });
    controls.append(status);
    let exact = 0;
    const stop = player(board.actions, {
      status,
      start: () => (exact = state.step === last ? 0 : state.step),
      advance: (seconds) => {
        exact = Math.min(last, exact + STEPS_PER_SECOND * seconds);
        change({ step: Math.round(exact) });
        return exact < last;
      },
    });
    const bestSteps = [[0, "MGDM"], [largest, "MF–MGDM"]].map(([place, name]) => [
      `${name} at its best`, () => byHand({ place, step: data.traces[place].best_step })]);
    buttons(board.actions, [...bestSteps, ["MGDM collapsed", () => byHand({ place: 0, step: last })]]);

    const points = d3.zip(Array.from(truth(0)), Array.from(truth(1)));
    const trueContour = contour(data.true.mean, data.true.covariance);
    const start = d3.zip(Array.from(lag1(0, 0)), Array.from(lag0(0, 0)));
    const startContour = contour(...moments(start));
    const extent = (axis, k) => d3.extent([...axis(), ...points.map((p) => p[k]), ...trueContour.map((p) => p[k])]);

    const clouds = chart(board, {
      title: "Energies of 128 paths",
      describe: "Scatter plot of the two energies of each path, with contours of the start, the true law and now.",
      x: d3.scaleLinear().domain(extent(lag1, 0)).nice(),
      y: d3.scaleLinear().domain(extent(lag0, 1)).nice(),
      xLabel: "autocovariance at lag 1",
      yLabel: "lag 0 against lag 1",
      draw(layer, x, y) {
        const now = cloud();
        dots(layer, "start", start, x, y, 1.6);
        dots(layer, "true", points, x, y, 1.6);
        path(layer, "start line", startContour, x, y);
        path(layer, "true line", trueContour, x, y);
        dots(layer, "now", now, x, y, 2);
        path(layer, "now line", contour(...moments(now)), x, y);
        one(layer, "path", "target").attr("d", "M-6,0H6M0,-6V6")
          .attr("transform", `translate(${x(data.target[0])},${y(data.target[1])})`);
      },
    });
    const legendNow = legend(clouds.figure, [
      ["start", "start"], ["true", "true law"], ["now", ""], ["target", "target"]])[2];

    const divergence = chart(board, {
      title: "Reverse KL divergence",
      describe: "Line chart of the divergence against the step, with a dot at the step chosen; other sizes in grey.",
      x: d3.scaleLinear().domain([0, last]),
      y: d3.scaleLinear().domain([0, d3.max(data.traces, (one) => d3.max(one.reverse_kl))]).nice(),
      xLabel: "step t",
      yLabel: "nats per path",
      draw(layer, x, y, above) {
        const { reverse_kl: values, standard_error: error } = trace();
        layer.selectAll("path.other").data(data.traces).join("path").attr("class", "other")
          .attr("d", (other) => d3.line((_, t) => x(t), (value) => y(value))(other.reverse_kl));
        shade(layer, "now band", values.map((v, t) => [t, v - 2 * error[t], v + 2 * error[t]]), x, y);
        path(layer, "now line", numbered(values), x, y);
        one(layer, "line", "marker").attr("x1", x(state.step)).attr("x2", x(state.step))
          .attr("y1", y.range()[0]).attr("y2", y.range()[1]);
        dots(above, "now", [[state.step, values[state.step]]], x, y, 5);
        one(above, "text", "value").text(decimals(2)(values[state.step]))
          .attr("text-anchor", state.step > 0.8 * last ? "end" : "start")
          .attr("x", x(state.step) + (state.step > 0.8 * last ? -8 : 8))
          .attr("y", Math.max(MARGIN.top + 12, y(values[state.step]) - 9));
      },
    });

    chart(board, {
      title: "Three of the paths",
      describe: "Line chart of the first 150 points of three paths; where they started in grey.",
      x: d3.scaleLinear().domain([0, data.paths.shape[3] - 1]),
      y: d3.scaleLinear().domain([-2 * 7 - 4, 4]),
      xLabel: "time",
      yFormat: (axis) => axis.tickValues([]),
      draw(layer, x, y) {
        for (let k = 0; k < data.paths.shape[2]; k += 1) {
          const shifted = (values) => Array.from(values, (value, place) => [place, value - 7 * k]);
          path(layer, `start thin of-${k}`, shifted(paths(state.place, 0, k)), x, y);
          const now = between(data.path_steps, state.step, (at) => paths(state.place, at, k));
          path(layer, `now thin of-${k}`, shifted(now), x, y);
        }
      },
    });

    const parts = chart(board, {
      title: "Its two parts",
      describe: "Line chart of negative entropy and log-likelihood against the step; the gap between them is shaded.",
      x: d3.scaleLinear().domain([0, last]),
      y: d3.scaleLinear().domain(d3.extent(data.traces.flatMap(
        (one) => [...one.negative_entropy, ...one.log_likelihood]))).nice(),
      xLabel: "step t",
      yLabel: "nats per path",
      yFormat: (axis) => axis.tickFormat((value) => decimals(0)(value)),
      draw(layer, x, y, above) {
        const { negative_entropy: entropy, log_likelihood: likelihood } = trace();
        shade(layer, "now band", entropy.map((value, t) => [t, likelihood[t], value]), x, y);
        path(layer, "now line", numbered(entropy), x, y);
        path(layer, "now line dashed", numbered(likelihood), x, y);
        const ends = [entropy[state.step], likelihood[state.step]];
        one(above, "line", "gap").attr("x1", x(state.step)).attr("x2", x(state.step))
          .attr("y1", y(ends[0])).attr("y2", y(ends[1]));
        dots(above, "now", ends.map((value) => [state.step, value]), x, y, 3.5);
      },
    });
    legend(parts.figure, [
      ["now", "negative entropy"], ["now dashed", "log-likelihood"]]);
    for (const one of [divergence, parts]) {
      draggable(one, (at) => byHand({ step: Math.max(0, Math.min(last, Math.round(at))) }));
    }

    function say() {
      const { reverse_kl: kl, negative_entropy: entropy, log_likelihood: likelihood, best_step: best } = trace();
      const t = state.step;
      status.replaceChildren();
      status.append(`${model()}, N = ${data.sizes[state.place]}, step ${t}: KL `);
      element(status, "strong", "explorer-kl", decimals(2)(kl[t]));
      status.append(
        ` nats per path = negative entropy ${decimals(2)(entropy[t])} − log-likelihood (${decimals(2)(likelihood[t])}).` +
        ` Smallest for this N: ${decimals(2)(kl[best])} at step ${best}.`);
    }
    function show() {
      root.dataset.model = model();
      legendNow.textContent = model();
      setModel(model());
      setSize(state.place);
      setStep(state.step);
      say();
      board.redraw();
    }
    show();
  }

  // --- Daily returns ------------------------------------------------------------------------------------------------

  function exploreMarket(root, data) {
    const { series, edges, models } = data;
    const names = Object.keys(models);
    const paths = Object.fromEntries(names.map((name) => [name, unpack(models[name].paths)]));
    const observed = Array.from(unpack(series.path)());
    const centres = edges.slice(1).map((edge, bin) => (edge + edges[bin]) / 2);
    const state = { name: names[1], place: models[names[1]].steps.length - 1 };
    const board = panel(root);
    const { controls, status } = board;
    const made = () => models[state.name];
    const now = () => made().states[state.place];

    function change(changes) {
      Object.assign(state, changes);
      show();
    }
    const byHand = (changes) => { stop(); change(changes); };

    /* The flows take steps of their own: another model is shown at its step that is nearest on the scale of 1 + t. */
    function sameStep(name) {
      const far = (step) => Math.abs(Math.log1p(step) - Math.log1p(made().steps[state.place]));
      return d3.minIndex(models[name].steps, far);
    }

    const setModel = choices(controls, {
      name: "Model",
      options: names.map((name) => [name, models[name].title]),
      onInput: (name) => byHand({ name, place: sameStep(name) }),
    });
    const setStep = slider(controls, {
      name: "Step t",
      id: `${root.id}-step`,
      max: 1,
      spoken: (place) => grouped(made().steps[place]),
      onInput: (place) => byHand({ place }),
    });
    const input = controls.querySelector("input[type=range]");
    controls.append(status);
    let exact = 0;
    const stop = player(board.actions, {
      status,
      start: () => (exact = state.place === made().steps.length - 1 ? 0 : state.place),
      advance: (seconds) => {
        const end = made().steps.length - 1;
        exact = Math.min(end, exact + 6 * seconds);
        change({ place: Math.round(exact) });
        return exact < end;
      },
    });

    const everyState = names.flatMap((name) => models[name].states);
    for (const [key, title] of [["acf", "returns"], ["squares", "squared returns"]]) {
      const lags = series[key].map((_, place) => place + 1);
      const drawn = chart(board, {
        title: `Autocorrelation of ${title}`,
        describe: `Autocorrelation of ${title} against the lag: a band of the paths, and dots of the index.`,
        x: d3.scaleLinear().domain([0.5, lags.length + 0.5]),
        y: d3.scaleLinear().domain(d3.extent([...series[key], ...everyState.flatMap((one) => one[key].flat())])).nice(),
        xLabel: "lag, trading days",
        xTicks: [1, 5, 10, 15, 20],
        draw(layer, x, y) {
          const [low, middle, high] = now()[key];
          one(layer, "line", "zero").attr("x1", x.range()[0]).attr("x2", x.range()[1]).attr("y1", y(0)).attr("y2", y(0));
          shade(layer, "now band", lags.map((lag, place) => [lag, low[place], high[place]]), x, y);
          path(layer, "now line", d3.zip(lags, middle), x, y);
          dots(layer, "true", d3.zip(lags, series[key]), x, y, 2.6);
        },
      });
      if (key === "squares") continue;
      legend(drawn.figure, [["true dot", "S&P 500"], ["now", "median path"], ["now wide", "nine paths in ten"]]);
    }

    const floor = 1e-5;
    const density = chart(board, {
      title: "Density of single returns",
      describe: "Density of single returns on a logarithmic axis: area of the paths, dots of the index, dashed a Gaussian.",
      x: d3.scaleLinear().domain(d3.extent(edges)),
      y: d3.scaleLog().domain([floor, 1]),
      xLabel: "standardised daily log-return",
      yFormat: (axis) => axis.tickValues([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]).tickFormat(power),
      draw(layer, x, y) {
        const heights = now().marginal;
        const rows = heights.flatMap((height, bin) =>
          [edges[bin], edges[bin + 1]].map((edge) => [edge, floor / 2, Math.max(floor / 2, height)]));
        shade(layer, "now band", rows, x, y);
        path(layer, "start line dashed",
          centres.map((at) => [at, Math.max(floor / 2, Math.exp(-at * at / 2) / Math.sqrt(2 * Math.PI))]), x, y);
        dots(layer, "true", d3.zip(centres, series.marginal).filter((point) => point[1] > 0), x, y, 2.2);
      },
    });
    legend(density.figure, [["true dot", "S&P 500"], ["now wide", "paths"], ["start dashed", "Gaussian"]]);

    const [low, high] = d3.extent([observed, ...names.map((name) => Array.from(paths[name]()))].flat());
    const lower = (high - low) / 2;
    const lines = chart(board, {
      title: "A path, and the index below it",
      describe: "Line charts of 504 daily returns, of a path and of the index.",
      x: d3.scaleLinear().domain([0, observed.length - 1]),
      y: d3.scaleLinear().domain([low - lower, high]),
      xLabel: "trading day",
      yFormat: (axis) => axis.tickValues([]),
      draw(layer, x, y) {
        path(layer, "now thin", numbered(paths[state.name](state.place)), x, y);
        path(layer, "true thin", observed.map((value, place) => [place, value - lower]), x, y);
      },
    });
    legend(lines.figure, [["now", "path"], ["true", "S&P 500, last two years"]]);

    function say() {
      const { kurtosis, squares } = now();
      status.textContent =
        `${made().title}, step ${grouped(made().steps[state.place])}. Correlation of squared returns a day apart:` +
        ` ${decimals(2)(squares[1][0])} on the median path, ${decimals(2)(series.squares[0])} in the index.` +
        ` Kurtosis: ${decimals(1)(kurtosis[1])} and ${decimals(1)(series.kurtosis)}.`;
    }
    function show() {
      root.dataset.model = state.name === "MGDM" ? "MGDM" : "MF–MGDM";
      input.max = made().steps.length - 1;
      setModel(state.name);
      setStep(state.place);
      say();
      board.redraw();
    }
    show();
  }

  // --- The page -----------------------------------------------------------------------------------------------------

  const EXPLORERS = { "explorer-ar": exploreAr, "explorer-market": exploreMarket };
  for (const [id, explore] of Object.entries(EXPLORERS)) {
    const root = document.getElementById(id);
    if (!root) continue;
    try {
      explore(root, JSON.parse(root.querySelector("script").textContent));
      root.classList.add("ready");
    } catch (error) {
      document.documentElement.classList.add("explorer-failed"); // shows the pictures
      throw error;
    }
  }
})();
