// The page: sliders, models and questions to the server.

import { Board, chart, show, showCouplings, showFrames, toImageData } from "/drawing.js";

const $ = (id) => document.getElementById(id);
const SLIDERS = {
  angle: { label: "Turn", step: 1, start: 0, say: (value) => `${value}°` },
  x: { label: "Right", step: 0.01, start: 0, say: (value) => `${Math.round(100 * value)} %` },
  y: { label: "Down", step: 0.01, start: 0, say: (value) => `${Math.round(100 * value)} %` },
  scale: { label: "Size", step: 0.01, start: 1, say: (value) => `${value.toFixed(2)}x` },
  shear: { label: "Shear", step: 0.01, start: 0, say: (value) => value.toFixed(2) },
  pieces: { label: "Cut up", step: 1, start: 1, say: (value) => (value === 1 ? "whole" : `${value}x${value}`) },
};
const MOST_PIXELS = 512; // along a side of an image that is sent

const changes = {};
const offsets = [];
const panels = [];
let asking = false;
let stale = false;
let example = -1;

async function ask(path, question) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(question) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function complain(error) {
  $("problem").hidden = error === null;
  if (error !== null) $("problem").textContent = `That did not work: ${error.message}`;
}

function make(kind, attributes = {}, ...children) {
  const part = document.createElement(kind);
  Object.assign(part, attributes);
  part.append(...children);
  return part;
}

function slider(label, low, high, step, start, say, moved) {
  const said = make("output", { textContent: say(start) });
  const input = make("input", { type: "range", min: low, max: high, step, value: start });
  input.addEventListener("input", () => {
    said.textContent = say(Number(input.value));
    moved(Number(input.value));
  });
  const row = make("label", { className: "slider" }, make("span", { textContent: label }), input, said);
  const reset = () => {
    input.value = start;
    said.textContent = say(start);
  };
  return { row, reset };
}

function addModel(model, number) {
  offsets.push(new Array(model.components).fill(0));
  const panel = {
    said: make("p", { className: "said" }),
    bars: make("div", { className: "bars" }),
    pictures: make("div", { className: "pictures" }),
    classes: model.classes,
  };
  panel.said.setAttribute("aria-live", "polite");
  const box = make(
    "article",
    { className: "model" },
    make("h2", { textContent: model.name }),
    make("p", { textContent: model.description }),
    panel.said,
    panel.bars,
    panel.pictures,
  );
  if (model.components > 0) {
    const rows = offsets[number].map((_, component) => {
      const moved = (value) => {
        offsets[number][component] = value;
        predict();
      };
      return slider(String(component + 1), -0.5, 0.5, 0.05, 0, (value) => value.toFixed(2), moved).row;
    });
    box.append(make("details", {}, make("summary", { textContent: "Move the winning capsule" }), ...rows));
  }
  panels.push(panel);
  $("models").append(box);
}

function picture(caption, draw) {
  const canvas = make("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", caption);
  draw(canvas);
  return make("figure", {}, canvas, make("figcaption", { textContent: caption }));
}

function answered(panel, answer) {
  panel.said.textContent = answer.title;
  panel.bars.replaceChildren();
  panel.bars.setAttribute("role", "img");
  const what = answer.capsules ? "Lengths of capsules" : "Probabilities";
  const said = [];
  for (const scores of answer.scores) {
    const first = scores.indexOf(Math.max(...scores));
    scores.forEach((score, label) => {
      const bar = make("div", { className: label === first ? "first" : "" });
      bar.style.width = `${Math.round(100 * score)}%`;
      const text = score.toFixed(3);
      said.push(`${panel.classes[label]} ${text}`);
      panel.bars.append(
        make("span", { textContent: panel.classes[label] }), bar, make("span", { textContent: text }),
      );
    });
  }
  panel.bars.setAttribute("aria-label", `${what}: ${said.join(", ")}`);
  const pictures = [];
  if (answer.frames) {
    pictures.push(picture("where it looks", (canvas) => showFrames(canvas, answer.seen, answer.frames)));
    answer.warped.forEach((image) => pictures.push(picture("what it reads", (c) => show(c, image))));
  } else {
    pictures.push(picture("what it sees", (canvas) => show(canvas, answer.seen)));
  }
  if (answer.reconstruction) {
    pictures.push(picture("reconstruction", (canvas) => show(canvas, answer.reconstruction)));
  }
  if (answer.couplings) {
    const all = answer.couplings.flat();
    const range = [Math.min(...all), Math.max(...all)].map((value) => value.toFixed(3)).join(" to ");
    const caption = `couplings, ${range}`;
    pictures.push(picture(caption, (canvas) => showCouplings(canvas, answer.seen, answer)));
  }
  panel.pictures.replaceChildren(...pictures);
}

// One question at a time: what changes meanwhile is asked once the answer is there.
async function predict() {
  if (asking) {
    stale = true;
    return;
  }
  asking = true;
  try {
    do {
      stale = false;
      const answers = await ask("/predict", { image: board.encoded(), changes, offsets });
      answers.forEach((answer, number) => answered(panels[number], answer));
      complain(null);
    } while (stale);
  } catch (error) {
    complain(error);
  } finally {
    asking = false;
  }
}

async function nextExample() {
  try {
    const found = await ask("/example", { number: example + 1 });
    example = found.number;
    board.put(toImageData(found.image));
    $("source").textContent = `Test digit ${found.number}: a ${found.label}.`;
    await predict();
  } catch (error) {
    complain(error);
  }
}

async function readFile(file) {
  try {
    const image = await createImageBitmap(file);
    const smaller = Math.min(1, MOST_PIXELS / Math.max(image.width, image.height));
    const size = [image.width, image.height].map((side) => Math.max(1, Math.round(side * smaller)));
    const canvas = new OffscreenCanvas(...size);
    canvas.getContext("2d").drawImage(image, 0, 0, ...size);
    board.put(canvas.transferToImageBitmap());
    $("source").textContent = `${file.name}.`;
    await predict();
  } catch {
    complain(new Error(`${file.name} is no image that this browser reads`));
  }
}

async function sweep() {
  $("sweep").disabled = true;
  $("swept").textContent = "Measuring …";
  try {
    const along = $("along").value;
    const found = await ask("/sweep", { along, changes });
    const names = panels.map((panel) => panel.name);
    const width = Math.min(640, $("chart").clientWidth);
    const drawing = chart(found.values, found.accuracies, names, width);
    $("chart").replaceChildren(drawing, table(found, along));
    $("swept").textContent = `${SLIDERS[along].label}, ${found.images} images a point.`;
    complain(null);
  } catch (error) {
    $("swept").textContent = "";
    complain(error);
  } finally {
    $("sweep").disabled = false;
  }
}

function table(found, along) {
  const cell = (text) => make("td", { textContent: text });
  const rows = found.values.map((value, step) => {
    const shares = found.accuracies.map((each) =>
      each[step] === null ? "–" : `${(100 * each[step]).toFixed(0)} %`,
    );
    return make("tr", {}, cell(SLIDERS[along].say(value)), ...shares.map(cell));
  });
  const heads = ["", ...panels.map((panel) => panel.name)];
  const head = make("tr", {}, ...heads.map((text) => make("th", { textContent: text })));
  return make("details", {}, make("summary", { textContent: "As a table" }), make("table", {}, head, ...rows));
}

const board = new Board($("board"), () => {
  $("source").textContent = "Your drawing.";
  predict();
});

async function begin() {
  const { models, ranges } = await ask("/models", {});
  models.forEach(addModel);
  models.forEach((model, number) => (panels[number].name = model.name));
  const resets = Object.entries(SLIDERS).map(([name, { label, step, start, say }]) => {
    changes[name] = start;
    const moved = (value) => {
      changes[name] = value;
      predict();
    };
    const { row, reset } = slider(label, ...ranges[name], step, start, say, moved);
    $("sliders").append(row);
    $("along").append(make("option", { value: name, textContent: label }));
    return () => {
      changes[name] = start;
      reset();
    };
  });
  $("reset").addEventListener("click", () => {
    resets.forEach((reset) => reset());
    predict();
  });
  $("clear").addEventListener("click", () => {
    board.clear();
    $("source").textContent = "";
    predict();
  });
  $("example").addEventListener("click", nextExample);
  $("sweep").addEventListener("click", sweep);
  $("file").addEventListener("change", (event) => {
    if (event.target.files.length) readFile(event.target.files[0]);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) readFile(event.dataTransfer.files[0]);
  });
  await nextExample();
}

begin().catch(complain);
